-- Human Resources and Social Security: pension insurance. All rows are synthetic (demo region).
CREATE SCHEMA insurance;
CREATE TABLE insurance.contribution (
    row_handle bigint NOT NULL,
    id_number text NOT NULL,
    insurance_kind text NOT NULL,
    month date NOT NULL,
    employer_code text,
    division text NOT NULL,
    base numeric(12, 2) NOT NULL,
    personal_amount numeric(12, 2) NOT NULL,
    employer_amount numeric(12, 2) NOT NULL,
    status text NOT NULL,
    paid_at timestamptz
);
COMMENT ON TABLE insurance.contribution IS '合成数据，仅供演示 (synthetic)';
-- after loading
ALTER TABLE insurance.contribution ADD PRIMARY KEY (id_number, insurance_kind, month), ADD UNIQUE (row_handle);
CREATE INDEX ON insurance.contribution (employer_code);
CREATE INDEX ON insurance.contribution (division);
