"""Tables of migration 0004: documents that the parties to a matter attach to what they state."""

_ATTACHMENT = """
CREATE TABLE matter_attachment (
    matter text NOT NULL,
    department text NOT NULL REFERENCES department,
    number integer NOT NULL CHECK (number BETWEEN 1 AND 10),
    version integer NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    media_type text NOT NULL CHECK (media_type <> ''),
    size integer NOT NULL CHECK (size BETWEEN 1 AND 2097152 AND size = octet_length(content)),
    sha256 text NOT NULL CHECK (sha256 = encode(sha256(content), 'hex')),
    content bytea NOT NULL,
    PRIMARY KEY (matter, department, number),
    FOREIGN KEY (matter, version) REFERENCES matter_event (matter, version)
)
"""

_UPLOAD = """
CREATE TABLE document_upload (
    id text PRIMARY KEY,
    department text NOT NULL REFERENCES department,
    name text NOT NULL,
    media_type text NOT NULL,
    content bytea NOT NULL,
    at timestamptz NOT NULL
)
"""

STATEMENTS: tuple[str, ...] = (
    _ATTACHMENT,
    "COMMENT ON TABLE matter_attachment IS 'documents exchanged in a matter: at most 10 of each party, 2 MiB each'",
    "COMMENT ON COLUMN matter_attachment.version IS 'the event that it came with'",
    # What is compressed already is what people attach.
    "ALTER TABLE matter_attachment ALTER COLUMN content SET STORAGE EXTERNAL",
    "CREATE TRIGGER z_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON matter_attachment EXECUTE FUNCTION refuse_change()",
    _UPLOAD,
    "COMMENT ON TABLE document_upload IS 'documents sent over HTTP that wait to be attached, for a day'",
    "ALTER TABLE document_upload ALTER COLUMN content SET STORAGE EXTERNAL",
    "CREATE INDEX document_upload_department ON document_upload (department)",
    "CREATE INDEX document_upload_at ON document_upload (at)",
)
