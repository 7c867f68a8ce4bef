-- Taxation: what companies declared and paid. All rows are synthetic (demo region).
CREATE SCHEMA tax;
CREATE TABLE tax.tax_record (
    row_handle bigint NOT NULL,
    credit_code text NOT NULL,
    tax_year integer NOT NULL,
    credit_rating text NOT NULL,
    taxable_income numeric(16, 2) NOT NULL,
    tax_paid numeric(16, 2) NOT NULL,
    arrears numeric(16, 2) NOT NULL,
    filed_on date
);
COMMENT ON TABLE tax.tax_record IS '合成数据，仅供演示 (synthetic)';
-- after loading
ALTER TABLE tax.tax_record ADD PRIMARY KEY (credit_code, tax_year), ADD UNIQUE (row_handle);
