-- Public Security: the population library. All rows are synthetic (demo region).
CREATE SCHEMA population;
CREATE TABLE population.household (
    row_handle bigint NOT NULL,
    household_number text NOT NULL,
    head_id_number text NOT NULL,
    division text NOT NULL,
    address text NOT NULL,
    kind text NOT NULL,
    member_count integer NOT NULL,
    registered_on date NOT NULL
);
CREATE TABLE population.resident (
    row_handle bigint NOT NULL,
    id_number text NOT NULL,
    name text NOT NULL,
    gender text NOT NULL,
    birth_date date NOT NULL,
    ethnicity text NOT NULL,
    division text NOT NULL,
    registered_address text NOT NULL,
    household_number text NOT NULL,
    phone text,
    current_address text,
    education text,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE population.household IS '合成数据，仅供演示 (synthetic)';
COMMENT ON TABLE population.resident IS '合成数据，仅供演示 (synthetic)';
-- after loading
ALTER TABLE population.household ADD PRIMARY KEY (household_number), ADD UNIQUE (row_handle);
ALTER TABLE population.resident ADD PRIMARY KEY (id_number), ADD UNIQUE (row_handle);
CREATE INDEX ON population.resident (household_number);
CREATE INDEX ON population.resident (division);
CREATE INDEX ON population.resident (name);
CREATE INDEX ON population.household (division);
