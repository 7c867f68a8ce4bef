"""Tables of migration 0004: imports of spreadsheets, their reports, and what each department's files said last."""

_TABLES = """
CREATE SEQUENCE import_number;

CREATE TABLE catalogue_import (
    id text PRIMARY KEY CHECK (id <> ''),
    department text NOT NULL REFERENCES department,
    client text NOT NULL CHECK (client <> ''),
    person text,
    roles text[] NOT NULL,
    request_id text NOT NULL,
    file_name text NOT NULL,
    sha256 text NOT NULL,
    size bigint NOT NULL CHECK (size >= 0),
    content bytea,
    state text NOT NULL CHECK (state IN ('RUNNING', 'DONE', 'FAILED')),
    failure text,
    failure_zh text,
    total integer CHECK (total >= 0),
    done integer NOT NULL DEFAULT 0 CHECK (done >= 0),
    created integer NOT NULL DEFAULT 0,
    amended integer NOT NULL DEFAULT 0,
    unchanged integer NOT NULL DEFAULT 0,
    refused integer NOT NULL DEFAULT 0,
    untold integer NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    worker text,
    attempts integer NOT NULL DEFAULT 0,
    alive_until timestamptz,
    CHECK ((state = 'RUNNING') = (finished_at IS NULL)),
    CHECK ((state = 'RUNNING') = (content IS NOT NULL)),
    CHECK ((state = 'FAILED') = (failure IS NOT NULL)),
    CHECK (done = created + amended + unchanged + refused),
    CHECK (done <= total)
);
COMMENT ON TABLE catalogue_import IS 'a spreadsheet of the catalogue guide on its way to entries';
COMMENT ON COLUMN catalogue_import.content IS 'the file, kept until the import is over, so that another node can go on';
COMMENT ON COLUMN catalogue_import.total IS 'resources in the file; null until it is read';
COMMENT ON COLUMN catalogue_import.untold IS 'remarks beyond those that are kept';
COMMENT ON COLUMN catalogue_import.worker IS 'who works on it, until alive_until';
CREATE INDEX catalogue_import_department ON catalogue_import (department, id);
CREATE UNIQUE INDEX catalogue_import_running ON catalogue_import (department) WHERE state = 'RUNNING';

CREATE TABLE catalogue_import_remark (
    import text NOT NULL REFERENCES catalogue_import,
    number integer NOT NULL,
    sheet text NOT NULL,
    line integer NOT NULL,
    heading text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('ERROR', 'NOTICE')),
    rule text NOT NULL,
    message text NOT NULL,
    message_zh text NOT NULL,
    resource text NOT NULL,
    PRIMARY KEY (import, number)
);
COMMENT ON TABLE catalogue_import_remark IS 'what there is to say about rows of the file; line 0: the whole sheet';
CREATE INDEX catalogue_import_errors ON catalogue_import_remark (import, number) WHERE severity = 'ERROR';

CREATE TABLE catalogue_import_entry (
    import text NOT NULL REFERENCES catalogue_import,
    code text NOT NULL,
    title text NOT NULL,
    sheet text NOT NULL,
    line integer NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('CREATED', 'AMENDED', 'UNCHANGED', 'REFUSED')),
    matter text REFERENCES matter,
    PRIMARY KEY (import, code)
);
COMMENT ON TABLE catalogue_import_entry IS 'what became of each resource of the file';
CREATE INDEX catalogue_import_entry_matter ON catalogue_import_entry (matter) WHERE matter IS NOT NULL;

CREATE TABLE guide_row (
    department text NOT NULL REFERENCES department,
    code text NOT NULL,
    digest text NOT NULL,
    matter text NOT NULL REFERENCES matter,
    PRIMARY KEY (department, code)
);
COMMENT ON TABLE guide_row IS 'what a department''s files said last of a resource: the same once more is nothing new';
CREATE INDEX guide_row_matter ON guide_row (matter)
"""

STATEMENTS: tuple[str, ...] = tuple(statement.strip() for statement in _TABLES.split(";\n") if statement.strip())
"""Run in their order, after those of `core`."""
