-- The rows of the two sources, by formulas of their number: the same on every machine, no two runs of them alike in order.
-- Residents are numbered in the order of registration; their identity numbers follow another one, as in life.
CREATE SCHEMA made;

CREATE FUNCTION made.pick(options text[], number bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN options[1 + (hashint8(number * 31 + salt) & 2147483647) % cardinality(options)];

CREATE FUNCTION made.counties() RETURNS text[] LANGUAGE sql IMMUTABLE
RETURN '{640104,640105,640106,640121,640122,640181,640202,640205,640221,640302,640303,640323,640324,640381,640402,640422,640423,640424,640425,640502,640521,640522}'::text[];

-- 1,000,003 is prime: a permutation of the numbers.
CREATE FUNCTION made.place(number bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN number * 611953 % 1000003;

CREATE FUNCTION made.born(place bigint) RETURNS date LANGUAGE sql IMMUTABLE
RETURN date '1935-01-01' + (place / 22 % 31000)::integer;

-- Area, birth, order; the order is odd for men.
CREATE FUNCTION made.body(place bigint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (made.counties())[1 + place % 22] || to_char(made.born(place), 'YYYYMMDD')
    || (100 + place / 22 / 31000 * 2 + place % 2)::text;

CREATE FUNCTION made.checked(body text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN body || substr('10X98765432', 1 + (
    7 * substr(body, 1, 1)::integer + 9 * substr(body, 2, 1)::integer + 10 * substr(body, 3, 1)::integer
    + 5 * substr(body, 4, 1)::integer + 8 * substr(body, 5, 1)::integer + 4 * substr(body, 6, 1)::integer
    + 2 * substr(body, 7, 1)::integer + substr(body, 8, 1)::integer + 6 * substr(body, 9, 1)::integer
    + 3 * substr(body, 10, 1)::integer + 7 * substr(body, 11, 1)::integer + 9 * substr(body, 12, 1)::integer
    + 10 * substr(body, 13, 1)::integer + 5 * substr(body, 14, 1)::integer + 8 * substr(body, 15, 1)::integer
    + 4 * substr(body, 16, 1)::integer + 2 * substr(body, 17, 1)::integer) % 11, 1);

CREATE FUNCTION made.name(number bigint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN made.pick('{王,李,张,刘,陈,杨,赵,黄,周,吴,马,徐,孙,胡,朱,高,林,何,郭,罗,梁,宋,郑,谢,韩,唐,冯,于,董,萧,程,曹,袁,邓,许,傅,沈,曾,彭,吕}', number, 1)
    || made.pick('{伟,芳,秀英,娜,敏,静,丽,强,磊,军,洋,勇,艳,杰,娟,涛,明,超,秀兰,霞,平,刚,桂英,建国,建华,志强,文,斌,宇,浩,晓东,雪梅,海燕,国庆,玉兰,小红}', number, 2);

-- residents
CREATE SCHEMA population;

CREATE TABLE population.residents (
    handle bigint NOT NULL,
    id_number text NOT NULL,
    name text NOT NULL,
    sex text NOT NULL,
    birth_date date NOT NULL,
    division text NOT NULL,
    ethnicity text NOT NULL,
    address text NOT NULL,
    phone text,
    household_number text NOT NULL,
    station text NOT NULL,
    education text,
    registered_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    income numeric(12, 2),
    active boolean NOT NULL,
    vehicle_plate text
);

INSERT INTO population.residents
SELECT
    number,
    made.checked(made.body(place)),
    made.name(number),
    (2 - place % 2)::text,
    made.born(place),
    division,
    made.pick('{汉族,汉族,汉族,汉族,汉族,汉族,回族,回族,回族,满族,蒙古族}', number, 3),
    '宁夏回族自治区' || division || made.pick('{解放,北京,贺兰山,凤凰,民族,新华,文昌,正源,黄河,长城}', number, 4) || '路'
        || (1 + number % 400) || '号' || (1 + number % 18) || '栋' || (100 + number % 1500) || '室',
    CASE WHEN number % 20 <> 0 THEN '128' || lpad((number * 7919 % 100000000)::text, 8, '0') END,
    'H' || lpad((number / 3)::text, 9, '0'),
    division || lpad((number % 20)::text, 2, '0'),
    made.pick('{小学,初中,初中,高中,中专,大专,本科,研究生}', number, 5),
    timestamptz '1990-01-01 00:00:00+00' + number * interval '18 minutes',
    timestamptz '2025-01-01 00:00:00.123456+00' + number % 500000 * interval '1 minute',
    CASE WHEN number % 10 <> 0 THEN (20000 + number * 977 % 20000000 / 100.0)::numeric(12, 2) END,
    number % 50 <> 0,
    CASE WHEN number % 3 = 0 THEN '宁A' || lpad(upper(to_hex(number / 3 * 4)), 6, '0') END
FROM (
    SELECT number, made.place(number) AS place, made.pick(made.counties(), number, 6) AS division
    FROM generate_series(1::bigint, :residents) AS number
) AS drawn;

ALTER TABLE population.residents ADD PRIMARY KEY (handle);
ALTER TABLE population.residents ADD UNIQUE (id_number);
CREATE INDEX ON population.residents (division);
CREATE INDEX ON population.residents (household_number);
CREATE INDEX ON population.residents (phone);
CREATE INDEX ON population.residents (registered_at);

-- vehicles
CREATE SCHEMA traffic;

CREATE TABLE traffic.vehicles (
    handle bigint NOT NULL,
    plate text NOT NULL,
    vin text NOT NULL,
    owner_id_number text NOT NULL,
    owner_name text NOT NULL,
    brand text NOT NULL,
    model text NOT NULL,
    kind text NOT NULL,
    color text NOT NULL,
    energy text NOT NULL,
    displacement numeric(4, 1),
    registered_on date NOT NULL,
    inspection_valid_to date NOT NULL,
    status text NOT NULL,
    mileage integer NOT NULL
);

-- Owners are drawn: some residents have none, some have several.
INSERT INTO traffic.vehicles
SELECT
    number,
    '宁A' || lpad(upper(to_hex(number)), 6, '0'),
    'L' || lpad(upper(to_hex(number * 104729)), 16, '0'),
    made.checked(made.body(made.place(owner))),
    made.name(owner),
    made.pick('{长安,吉利,比亚迪,大众,丰田,长城,红旗,五菱,奇瑞,本田}', number, 11),
    made.pick('{CS75,帝豪,秦,朗逸,卡罗拉,哈弗H6,H5,宏光,瑞虎8,思域}', number, 12),
    made.pick('{CAR,CAR,CAR,CAR,TRUCK,MOTORCYCLE}', number, 13),
    made.pick('{白,黑,灰,银,红,蓝}', number, 14),
    made.pick('{PETROL,PETROL,PETROL,ELECTRIC}', number, 15),
    CASE WHEN number % 4 <> 0 THEN (1.0 + number % 30 / 10.0)::numeric(4, 1) END,
    date '2005-01-01' + (number * 37 % 7600)::integer,
    date '2026-06-30' + (number % 700)::integer,
    made.pick('{NORMAL,NORMAL,NORMAL,NORMAL,MORTGAGED,SEIZED,OVERDUE}', number, 16),
    (number * 7919 % 250000)::integer
FROM (
    SELECT number, 1 + (hashint8(number) & 2147483647) % :residents::bigint AS owner
    FROM generate_series(1::bigint, :vehicles) AS number
) AS drawn;

ALTER TABLE traffic.vehicles ADD PRIMARY KEY (handle);
ALTER TABLE traffic.vehicles ADD UNIQUE (plate);
CREATE INDEX ON traffic.vehicles (owner_id_number);
CREATE INDEX ON traffic.vehicles (registered_on);
