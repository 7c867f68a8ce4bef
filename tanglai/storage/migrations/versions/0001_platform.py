"""The platform's first tables: register, catalogue, grants, epochs, keys and the audit log."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Tables of the catalogue: a change of any row makes a new snapshot.
CATALOGUE = ("division", "department", "purpose", "category", "source", "resource", "resource_version")

TABLES = """
CREATE TABLE epoch (
    name text PRIMARY KEY CHECK (name IN ('catalogue', 'grants')),
    value bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
COMMENT ON TABLE epoch IS 'catalogue: the snapshot number; grants: counts every change of a grant';

INSERT INTO epoch (name) VALUES ('catalogue'), ('grants');

CREATE TABLE division (
    code text PRIMARY KEY,
    successor text REFERENCES division,
    document jsonb NOT NULL,
    changed bigint NOT NULL
);

CREATE TABLE department (
    code text PRIMARY KEY,
    key text NOT NULL UNIQUE,
    division text NOT NULL REFERENCES division,
    document jsonb NOT NULL,
    changed bigint NOT NULL
);
COMMENT ON TABLE department IS 'code: unified social credit code';

CREATE TABLE purpose (
    code text PRIMARY KEY,
    document jsonb NOT NULL,
    changed bigint NOT NULL
);

CREATE TABLE category (
    code text PRIMARY KEY,
    parent text REFERENCES category,
    document jsonb NOT NULL,
    changed bigint NOT NULL
);

CREATE TABLE source (
    key text PRIMARY KEY,
    department text NOT NULL REFERENCES department,
    document jsonb NOT NULL,
    changed bigint NOT NULL
);

CREATE TABLE resource (
    code text PRIMARY KEY,
    version integer,
    changed bigint NOT NULL
);
COMMENT ON COLUMN resource.version IS 'the published version; null: retired';
CREATE INDEX resource_changed ON resource (changed);

CREATE TABLE resource_version (
    code text NOT NULL REFERENCES resource,
    version integer NOT NULL CHECK (version > 0),
    title text NOT NULL,
    share_class text NOT NULL CHECK (share_class IN ('UNCONDITIONAL', 'CONDITIONAL', 'NOT_SHARED')),
    provider text NOT NULL REFERENCES department,
    compiler text REFERENCES department,
    category text NOT NULL REFERENCES category,
    source text NOT NULL REFERENCES source,
    document jsonb NOT NULL,
    note text NOT NULL,
    published_by text NOT NULL CHECK (published_by <> ''),
    published_at timestamptz NOT NULL,
    retired_by text CHECK (retired_by <> ''),
    retired_at timestamptz CHECK (retired_at >= published_at),
    retired_note text,
    changed bigint NOT NULL,
    PRIMARY KEY (code, version),
    CHECK ((retired_at IS NULL) = (retired_by IS NULL) AND (retired_at IS NULL) = (retired_note IS NULL))
);
COMMENT ON TABLE resource_version IS 'published versions; immutable but for their one retirement';
CREATE UNIQUE INDEX resource_version_published ON resource_version (code) WHERE retired_at IS NULL;

ALTER TABLE resource ADD CONSTRAINT resource_version_fkey
    FOREIGN KEY (code, version) REFERENCES resource_version DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE data_grant (
    id text PRIMARY KEY,
    requester text NOT NULL REFERENCES department,
    resource text NOT NULL REFERENCES resource,
    purpose text NOT NULL REFERENCES purpose,
    state text NOT NULL CHECK (state IN ('ACTIVE', 'SUSPENDED', 'ENDED', 'EXPIRED', 'DISPOSED')),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to > valid_from),
    document jsonb NOT NULL,
    CHECK (state <> 'EXPIRED' OR valid_to IS NOT NULL)
);
COMMENT ON COLUMN data_grant.document IS 'the terms of the grant, its state left out';
CREATE INDEX data_grant_requester ON data_grant (requester);
CREATE INDEX data_grant_resource ON data_grant (resource);
CREATE INDEX data_grant_due ON data_grant (valid_to) WHERE state IN ('ACTIVE', 'SUSPENDED');

CREATE TABLE grant_transition (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    grant_id text NOT NULL REFERENCES data_grant,
    from_state text,
    to_state text NOT NULL,
    previous jsonb,
    by text NOT NULL CHECK (by <> ''),
    at timestamptz NOT NULL,
    reason text NOT NULL
);
COMMENT ON COLUMN grant_transition.from_state IS 'null: the grant was recorded here first';
COMMENT ON COLUMN grant_transition.previous IS 'the terms before the change; null: the terms did not change';
CREATE INDEX grant_transition_grant ON grant_transition (grant_id, id);

CREATE TABLE department_epoch (
    department text PRIMARY KEY REFERENCES department,
    value bigint NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE department_epoch IS 'value of the grants epoch at the last change of a grant of this requester';
CREATE INDEX department_epoch_value ON department_epoch (value);

CREATE TABLE key_store (
    id text PRIMARY KEY,
    name text NOT NULL,
    generation integer NOT NULL CHECK (generation > 0),
    sealed bytea NOT NULL,
    sealed_under text NOT NULL,
    created timestamptz NOT NULL,
    CONSTRAINT key_store_generation_key UNIQUE (name, generation)
);
COMMENT ON COLUMN key_store.sealed IS 'nonce and AES-256-GCM; sealed_under: fingerprint of the master key';

CREATE TABLE audit_record (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id text NOT NULL,
    at timestamptz NOT NULL,
    department text NOT NULL,
    client text NOT NULL,
    person text,
    purpose text,
    operation_name text,
    operation_hash text NOT NULL,
    document_kind text NOT NULL,
    paths text[] NOT NULL,
    items jsonb NOT NULL,
    grants text[] NOT NULL,
    rows jsonb NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('ALLOWED', 'PARTIAL', 'DENIED', 'FAILED')),
    codes text[] NOT NULL,
    duration_us bigint NOT NULL,
    node text NOT NULL,
    chain bytea,
    previous bytea
);
COMMENT ON TABLE audit_record IS 'who read which items of which resource, when, for which purpose, under which grant';
CREATE INDEX audit_record_at ON audit_record USING brin (at);
CREATE INDEX audit_record_department ON audit_record (department, id);
CREATE INDEX audit_record_request ON audit_record (request_id);
"""

# INVARIANT: every writer takes the epoch's row lock before any other lock, so that epochs are committed in the order of
# their values and no two writers wait for each other.
LOCK_EPOCH = """
CREATE FUNCTION lock_epoch() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM epoch WHERE name = TG_ARGV[0] FOR UPDATE;
    RETURN NULL;
END $$
"""

# INVARIANT: a row changed in the transaction that makes epoch n carries a number <= n and > every epoch before, so that
# the rows changed since a snapshot are those with a greater number.
STAMP_CHANGE = """
CREATE FUNCTION stamp_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    NEW.changed := (SELECT value + 1 FROM epoch WHERE name = 'catalogue');
    RETURN NEW;
END $$
"""

# INVARIANT: a change and its epoch are one transaction, whoever makes it.
BUMP_CATALOGUE = """
CREATE FUNCTION bump_catalogue() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM fresh) THEN
        UPDATE epoch SET value = value + 1 WHERE name = 'catalogue';
        PERFORM pg_notify('tanglai_epoch', 'catalogue');
    END IF;
    RETURN NULL;
END $$
"""

BUMP_GRANTS = """
CREATE FUNCTION bump_grants() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    number bigint;
    who text := coalesce(nullif(current_setting('tanglai.by', true), ''), session_user);
    why text := coalesce(nullif(current_setting('tanglai.reason', true), ''), 'changed in the database');
BEGIN
    IF NOT EXISTS (SELECT FROM fresh) THEN
        RETURN NULL;
    END IF;
    UPDATE epoch SET value = value + 1 WHERE name = 'grants' RETURNING value INTO number;
    INSERT INTO department_epoch (department, value) SELECT DISTINCT requester, number FROM fresh
        ON CONFLICT (department) DO UPDATE SET value = excluded.value;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO grant_transition (grant_id, from_state, to_state, previous, by, at, reason)
            SELECT id, NULL, state, NULL, who, clock_timestamp(), why FROM fresh ORDER BY id;
    ELSE
        INSERT INTO grant_transition (grant_id, from_state, to_state, previous, by, at, reason)
            SELECT f.id, s.state, f.state, CASE WHEN s.document <> f.document THEN s.document END,
                   who, clock_timestamp(), why
            FROM fresh f JOIN stale s ON s.id = f.id
            WHERE s.state <> f.state OR s.document <> f.document ORDER BY f.id;
    END IF;
    PERFORM pg_notify('tanglai_epoch', 'grants');
    RETURN NULL;
END $$
"""

# The table state x event of a grant (law.md); `tanglai.storage.transitions` holds the same for people and messages.
GUARD_GRANT = """
CREATE FUNCTION guard_grant() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF (NEW.id, NEW.requester, NEW.resource) IS DISTINCT FROM (OLD.id, OLD.requester, OLD.resource) THEN
        RAISE EXCEPTION 'grant `%` belongs to another requester or resource', OLD.id USING ERRCODE = 'TL001';
    END IF;
    IF (NEW.purpose, NEW.valid_from, NEW.valid_to, NEW.document)
            IS DISTINCT FROM (OLD.purpose, OLD.valid_from, OLD.valid_to, OLD.document)
            AND (OLD.state NOT IN ('ACTIVE', 'SUSPENDED') OR NEW.state <> OLD.state) THEN
        RAISE EXCEPTION 'the terms of grant `%` in state `%` cannot change', OLD.id, OLD.state USING ERRCODE = 'TL001';
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
            ('ACTIVE', 'SUSPENDED'), ('SUSPENDED', 'ACTIVE'), ('ACTIVE', 'ENDED'), ('SUSPENDED', 'ENDED'),
            ('ACTIVE', 'EXPIRED'), ('SUSPENDED', 'EXPIRED'), ('ENDED', 'DISPOSED'), ('EXPIRED', 'DISPOSED')) THEN
        RAISE EXCEPTION 'grant `%` cannot go from state `%` to `%`', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'TL001';
    END IF;
    IF NEW.state = 'EXPIRED' AND OLD.state <> 'EXPIRED' AND (NEW.valid_to IS NULL OR NEW.valid_to > clock_timestamp())
            THEN
        RAISE EXCEPTION 'grant `%` has not reached the end of its validity', OLD.id USING ERRCODE = 'TL001';
    END IF;
    RETURN NEW;
END $$
"""

GUARD_VERSION = """
CREATE FUNCTION guard_version() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    free text[] := ARRAY['retired_at', 'retired_by', 'retired_note', 'changed'];
BEGIN
    IF OLD.retired_at IS NOT NULL OR NEW.retired_at IS NULL OR to_jsonb(NEW) - free <> to_jsonb(OLD) - free THEN
        RAISE EXCEPTION 'version `%` of resource `%` is published and cannot change', OLD.version, OLD.code
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NEW;
END $$
"""

REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of `%` are kept as they are', TG_TABLE_NAME USING ERRCODE = 'TL001';
END $$
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        if statement.strip():
            run(statement)
    for function in (LOCK_EPOCH, STAMP_CHANGE, BUMP_CATALOGUE, BUMP_GRANTS, GUARD_GRANT, GUARD_VERSION, REFUSE):
        run(function)
    for table in CATALOGUE:
        run(f"CREATE TRIGGER a_lock BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION lock_epoch('catalogue')")
        run(f"CREATE TRIGGER b_stamp BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION stamp_change()")
        for event in ("INSERT", "UPDATE"):
            run(
                f"CREATE TRIGGER c_bump_{event.lower()} AFTER {event} ON {table} REFERENCING NEW TABLE AS fresh "
                "EXECUTE FUNCTION bump_catalogue()"
            )
    run("CREATE TRIGGER a_guard BEFORE UPDATE ON resource_version FOR EACH ROW EXECUTE FUNCTION guard_version()")
    run("CREATE TRIGGER a_lock BEFORE INSERT OR UPDATE ON data_grant EXECUTE FUNCTION lock_epoch('grants')")
    run("CREATE TRIGGER b_guard BEFORE UPDATE ON data_grant FOR EACH ROW EXECUTE FUNCTION guard_grant()")
    run(
        "CREATE TRIGGER c_bump_insert AFTER INSERT ON data_grant REFERENCING NEW TABLE AS fresh "
        "EXECUTE FUNCTION bump_grants()"
    )
    run(
        "CREATE TRIGGER c_bump_update AFTER UPDATE ON data_grant REFERENCING OLD TABLE AS stale NEW TABLE AS fresh "
        "EXECUTE FUNCTION bump_grants()"
    )
    # What replicas learn by difference is never deleted, and what the law wants kept is kept.
    for table in (*CATALOGUE, "data_grant", "department_epoch", "epoch"):
        run(f"CREATE TRIGGER z_keep BEFORE DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()")
    run(
        "CREATE TRIGGER b_forward BEFORE UPDATE ON epoch FOR EACH ROW WHEN (NEW.value <= OLD.value) "
        "EXECUTE FUNCTION refuse_change()"
    )
    for table in ("grant_transition", "audit_record"):
        run(f"CREATE TRIGGER z_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()")


def run(statement: str) -> None:
    # Not op.execute, which would read a colon as a parameter.
    op.get_bind().exec_driver_sql(statement)
