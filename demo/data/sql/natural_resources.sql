-- Natural Resources: land parcels. All rows are synthetic (demo region).
CREATE SCHEMA land;
CREATE TABLE land.parcel (
    row_handle bigint NOT NULL,
    parcel_number text NOT NULL,
    division text NOT NULL,
    use_code text NOT NULL,
    area numeric(14, 2) NOT NULL,
    location text NOT NULL,
    geometry jsonb,
    registered_on date NOT NULL,
    owner_code text,
    appraised_value numeric(16, 2),
    mortgaged boolean NOT NULL
);
COMMENT ON TABLE land.parcel IS '合成数据，仅供演示 (synthetic)';
-- after loading
ALTER TABLE land.parcel ADD PRIMARY KEY (parcel_number), ADD UNIQUE (row_handle);
CREATE INDEX ON land.parcel (owner_code);
CREATE INDEX ON land.parcel (division);
