"""Tables of migration 0004: webhooks, and what is to be delivered to them, written in the act that brings it about."""

_TABLES = """
CREATE TABLE webhook (
    id text PRIMARY KEY CHECK (id <> ''),
    department text NOT NULL REFERENCES department,
    url text NOT NULL CHECK (url <> ''),
    kinds text[] NOT NULL,
    sealed bytea NOT NULL,
    sealed_under text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    removed_at timestamptz,
    removed_by text,
    CHECK ((removed_at IS NULL) = (removed_by IS NULL))
);
COMMENT ON TABLE webhook IS 'where a department wants to be told of its tasks and notices';
COMMENT ON COLUMN webhook.kinds IS 'the events it hears: task, task.APPLICATION, notice, notice.<kind>; empty: all';
COMMENT ON COLUMN webhook.sealed IS 'the secret that signs, sealed under the key that sealed_under names';
CREATE INDEX webhook_department ON webhook (department, id);

CREATE TABLE webhook_delivery (
    id text PRIMARY KEY,
    webhook text NOT NULL REFERENCES webhook,
    event text NOT NULL,
    matter text REFERENCES matter,
    notice bigint REFERENCES notice,
    role text,
    due_on date,
    at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'DELIVERED', 'DEAD')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz,
    last_attempt_at timestamptz,
    last_status integer,
    last_problem text,
    CHECK ((state = 'PENDING') = (next_attempt_at IS NOT NULL))
) WITH (fillfactor = 80);
COMMENT ON TABLE webhook_delivery IS 'one event for one webhook; the dead are kept and can be tried again';
COMMENT ON COLUMN webhook_delivery.next_attempt_at IS 'while it is being tried: when others may take that try for lost';
COMMENT ON COLUMN webhook_delivery.last_status IS 'HTTP status of the last answer; null where there was none';
CREATE INDEX webhook_delivery_pending ON webhook_delivery (webhook, next_attempt_at) WHERE state = 'PENDING';
CREATE INDEX webhook_delivery_done ON webhook_delivery (last_attempt_at) WHERE state = 'DELIVERED';
CREATE INDEX webhook_delivery_webhook ON webhook_delivery (webhook, at, id)
"""

# A webhook hears what happens from its registration on, in the transaction in which it happens.
_ENQUEUE = """
CREATE FUNCTION enqueue_{what}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO webhook_delivery (id, webhook, event, matter, notice, role, due_on, at, next_attempt_at)
    SELECT gen_random_uuid()::text, w.id, f.event, f.matter, f.notice, f.role, f.due_on, f.at, clock_timestamp()
    FROM ({select}) f
    JOIN webhook w ON w.department = f.department AND w.removed_at IS NULL
        AND (w.kinds = '{{}}' OR f.event = ANY (w.kinds) OR split_part(f.event, '.', 1) = ANY (w.kinds));
    IF FOUND THEN
        PERFORM pg_notify('tanglai_work', 'webhooks');
    END IF;
    RETURN NULL;
END $$
"""
_TASKS = """
SELECT t.department, 'task.' || m.kind AS event, t.matter, NULL::bigint AS notice, t.role, t.due_on, t.since AS at
FROM fresh t JOIN matter m ON m.id = t.matter
"""
_NOTICES = """
SELECT n.department, 'notice.' || n.kind AS event, n.matter, n.id AS notice, n.role, NULL::date AS due_on, n.at
FROM fresh n
"""

STATEMENTS: tuple[str, ...] = (
    *(statement.strip() for statement in _TABLES.split(";\n") if statement.strip()),
    _ENQUEUE.format(what="tasks", select=_TASKS.strip()),
    _ENQUEUE.format(what="notices", select=_NOTICES.strip()),
    "CREATE TRIGGER d_enqueue AFTER INSERT ON matter_task REFERENCING NEW TABLE AS fresh "
    "FOR EACH STATEMENT EXECUTE FUNCTION enqueue_tasks()",
    "CREATE TRIGGER d_enqueue AFTER INSERT ON notice REFERENCING NEW TABLE AS fresh "
    "FOR EACH STATEMENT EXECUTE FUNCTION enqueue_notices()",
    "CREATE TRIGGER z_keep BEFORE DELETE OR TRUNCATE ON webhook EXECUTE FUNCTION refuse_change()",
    # An inbox changes too when a due date moves and when somebody has read a notice.
    *(
        f"CREATE TRIGGER c_tell_changed AFTER UPDATE ON {table} REFERENCING NEW TABLE AS fresh "
        "FOR EACH STATEMENT EXECUTE FUNCTION tell_work()"
        for table in ("matter_task", "notice")
    ),
)
"""Run in their order, after those of `core`."""
