-- Market Regulation: the library of legal persons. All rows are synthetic (demo region).
CREATE SCHEMA market;
CREATE TABLE market.company (
    row_handle bigint NOT NULL,
    credit_code text NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    established_on date NOT NULL,
    registered_capital numeric(16, 2) NOT NULL,
    industry text NOT NULL,
    division text NOT NULL,
    address text NOT NULL,
    representative_name text NOT NULL,
    representative_id_number text NOT NULL,
    contact_phone text,
    employees integer,
    annual_revenue numeric(16, 2),
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE market.company IS '合成数据，仅供演示 (synthetic)';
-- after loading
ALTER TABLE market.company ADD PRIMARY KEY (credit_code), ADD UNIQUE (row_handle);
CREATE INDEX ON market.company (representative_id_number);
CREATE INDEX ON market.company (division);
CREATE INDEX ON market.company (name);
