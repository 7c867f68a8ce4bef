-- Civil Affairs: marriages, subsistence allowance, adoptions, social organisations. All rows are synthetic (demo region).
CREATE SCHEMA civil;
CREATE TABLE civil.marriage (
    row_handle bigint NOT NULL,
    certificate_number text NOT NULL,
    husband_id_number text NOT NULL,
    wife_id_number text NOT NULL,
    registered_on date NOT NULL,
    division text NOT NULL,
    status text NOT NULL
);
CREATE TABLE civil.allowance (
    row_handle bigint NOT NULL,
    case_number text NOT NULL,
    applicant_id_number text NOT NULL,
    applicant_name text NOT NULL,
    division text NOT NULL,
    category text NOT NULL,
    household_size integer NOT NULL,
    monthly_amount numeric(10, 2) NOT NULL,
    started_on date NOT NULL,
    bank_account text,
    status text NOT NULL
);
CREATE TABLE civil.adoption (
    row_handle bigint NOT NULL,
    register_number text NOT NULL,
    adoptee_id_number text NOT NULL,
    adopter_id_number text NOT NULL,
    registered_on date NOT NULL,
    division text NOT NULL
);
CREATE TABLE civil.social_organisation (
    row_handle bigint NOT NULL,
    credit_code text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    division text NOT NULL,
    registered_on date NOT NULL,
    representative text NOT NULL,
    phone text,
    status text NOT NULL
);
COMMENT ON TABLE civil.social_organisation IS '合成数据，仅供演示 (synthetic)';
COMMENT ON TABLE civil.marriage IS '合成数据，仅供演示 (synthetic)';
COMMENT ON TABLE civil.allowance IS '合成数据，仅供演示 (synthetic)';
COMMENT ON TABLE civil.adoption IS '合成数据，仅供演示 (synthetic)';
-- after loading
ALTER TABLE civil.marriage ADD PRIMARY KEY (certificate_number), ADD UNIQUE (row_handle);
CREATE INDEX ON civil.marriage (husband_id_number);
CREATE INDEX ON civil.marriage (wife_id_number);
ALTER TABLE civil.allowance ADD PRIMARY KEY (case_number), ADD UNIQUE (row_handle);
CREATE INDEX ON civil.allowance (applicant_id_number);
CREATE INDEX ON civil.allowance (division);
ALTER TABLE civil.adoption ADD PRIMARY KEY (register_number), ADD UNIQUE (row_handle);
ALTER TABLE civil.social_organisation ADD PRIMARY KEY (credit_code), ADD UNIQUE (row_handle);
