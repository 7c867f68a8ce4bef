"""Tables of migration 0004: use per grant, counted from the audit log, and how sources are doing."""

_TABLES = """
CREATE TABLE usage_progress (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    counted bigint NOT NULL DEFAULT 0,
    settled bigint NOT NULL DEFAULT 0,
    settled_at timestamptz,
    pending bigint,
    pending_at timestamptz,
    writers text[] NOT NULL DEFAULT '{}',
    as_of timestamptz
);
COMMENT ON TABLE usage_progress IS 'how far the audit log is counted; one row';
COMMENT ON COLUMN usage_progress.counted IS 'every audit record up to this id is in the tables of use, none beyond it';
COMMENT ON COLUMN usage_progress.settled IS 'no record with an id up to this one can come any more';
COMMENT ON COLUMN usage_progress.writers IS 'transactions that may still hold ids up to `pending`';
INSERT INTO usage_progress DEFAULT VALUES;

CREATE TABLE grant_use (
    grant_id text NOT NULL,
    day date NOT NULL,
    requests bigint NOT NULL,
    rows bigint NOT NULL,
    last_use timestamptz NOT NULL,
    PRIMARY KEY (grant_id, day)
) WITH (fillfactor = 80);
COMMENT ON TABLE grant_use IS 'use per grant and day of Asia/Shanghai; rows count for each grant used on them';

CREATE TABLE purpose_use (
    side text NOT NULL CHECK (side IN ('PROVIDER', 'REQUESTER')),
    department text NOT NULL,
    purpose text NOT NULL,
    day date NOT NULL,
    requests bigint NOT NULL,
    rows bigint NOT NULL,
    denied bigint NOT NULL,
    PRIMARY KEY (side, department, purpose, day) INCLUDE (requests, rows, denied)
);
COMMENT ON TABLE purpose_use IS 'requests by a department and for its data; purpose empty: none stated';

CREATE TABLE client_use (
    resource text NOT NULL,
    department text NOT NULL,
    client text NOT NULL,
    purpose text NOT NULL,
    day date NOT NULL,
    requests bigint NOT NULL,
    rows bigint NOT NULL,
    denied bigint NOT NULL,
    last_use timestamptz NOT NULL,
    PRIMARY KEY (resource, department, client, purpose, day)
) WITH (fillfactor = 80);
COMMENT ON TABLE client_use IS 'which clients of which department used a resource';

CREATE TABLE item_use (
    resource text NOT NULL,
    item text NOT NULL,
    department text NOT NULL,
    client text NOT NULL,
    requests bigint NOT NULL,
    last_use timestamptz NOT NULL,
    PRIMARY KEY (resource, item, department, client)
) WITH (fillfactor = 80);
COMMENT ON TABLE item_use IS 'which clients asked for an item of a resource, since ever';

CREATE TABLE operation_use (
    resource text NOT NULL,
    department text NOT NULL,
    client text NOT NULL,
    operation_hash text NOT NULL,
    operation_name text NOT NULL,
    document_kind text NOT NULL,
    items text[] NOT NULL,
    requests bigint NOT NULL,
    last_use timestamptz NOT NULL,
    PRIMARY KEY (resource, department, client, operation_hash, operation_name)
);
COMMENT ON TABLE operation_use IS 'which operations asked for which items of a resource; forgotten when long unused';
CREATE INDEX operation_use_last ON operation_use (resource, last_use);
CREATE INDEX operation_use_old ON operation_use (last_use);

CREATE TABLE usage_entry (
    record bigint NOT NULL,
    resource text NOT NULL,
    provider text NOT NULL,
    department text NOT NULL,
    PRIMARY KEY (record, resource)
);
COMMENT ON TABLE usage_entry IS 'audit records by resource, provider and requester (Order 809 Art. 29)';
CREATE INDEX usage_entry_resource ON usage_entry (resource, department, record);
CREATE INDEX usage_entry_provider ON usage_entry (provider, department, record);

CREATE TABLE grant_entry (
    grant_id text NOT NULL,
    record bigint NOT NULL,
    PRIMARY KEY (grant_id, record)
);

CREATE TABLE record_day (
    day date PRIMARY KEY,
    first_record bigint NOT NULL
);
COMMENT ON TABLE record_day IS 'the least id of an audit record of a day, so that a list since a day begins near it';

CREATE TABLE source_state (
    source text NOT NULL,
    node text NOT NULL,
    last_success timestamptz,
    last_failure timestamptz,
    fault text,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (source, node)
) WITH (fillfactor = 70);
COMMENT ON TABLE source_state IS 'what each node last saw of a source; down: it failed after it last answered';

CREATE TABLE source_day (
    source text NOT NULL,
    day date NOT NULL,
    calls bigint NOT NULL,
    failures bigint NOT NULL,
    PRIMARY KEY (source, day)
) WITH (fillfactor = 80);

CREATE INDEX data_grant_active ON data_grant (requester, valid_from, id) INCLUDE (resource) WHERE state = 'ACTIVE';
CREATE INDEX resource_version_provider ON resource_version (provider) INCLUDE (code, published_at)
    WHERE retired_at IS NULL;
CREATE INDEX grant_transition_ended ON grant_transition (at, grant_id) WHERE to_state = 'ENDED';
CREATE INDEX matter_event_refusal ON matter_event (at, department) INCLUDE (matter) WHERE to_state = 'REFUSED';
CREATE INDEX matter_opened ON matter (kind, opened_at) INCLUDE (provider, requester, state, closed)
"""

STATEMENTS: tuple[str, ...] = tuple(statement.strip() for statement in _TABLES.split(";\n") if statement.strip())
"""Run in their order, after those of `core`."""
