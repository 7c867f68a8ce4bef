-- Health Commission: reports of notifiable diseases. All rows are synthetic (demo region).
CREATE SCHEMA health;
CREATE TABLE health.disease_case (
    row_handle bigint NOT NULL,
    case_number text NOT NULL,
    id_number text NOT NULL,
    division text NOT NULL,
    disease_class text NOT NULL,
    reported_on date NOT NULL,
    reporting_unit text NOT NULL,
    diagnosis text NOT NULL
);
COMMENT ON TABLE health.disease_case IS '合成数据，仅供演示 (synthetic)';
-- after loading
ALTER TABLE health.disease_case ADD PRIMARY KEY (case_number), ADD UNIQUE (row_handle);
CREATE INDEX ON health.disease_case (id_number);
