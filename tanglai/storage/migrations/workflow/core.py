"""Tables of migration 0004: matters with their events, tasks, deadlines and notices, and the guards that hold them."""

_TABLES = """
CREATE TABLE workflow_step (
    kind text NOT NULL,
    rule_set text NOT NULL,
    from_state text NOT NULL,
    event text NOT NULL,
    to_state text NOT NULL,
    final boolean NOT NULL,
    apart_from text[] NOT NULL,
    PRIMARY KEY (kind, rule_set, from_state, event, to_state)
);
COMMENT ON TABLE workflow_step IS 'every step that a matter can take (law.md); from_state empty: the step opens it';
COMMENT ON COLUMN workflow_step.apart_from IS 'events of the matter whose actor may not take this step too';

CREATE SEQUENCE matter_number;

CREATE TABLE matter (
    id text PRIMARY KEY CHECK (id <> ''),
    kind text NOT NULL,
    rule_set text NOT NULL,
    rule_version integer NOT NULL,
    state text NOT NULL,
    version integer NOT NULL,
    closed boolean NOT NULL,
    requester text REFERENCES department,
    provider text REFERENCES department,
    coordinator text REFERENCES department,
    resource text,
    grant_id text REFERENCES data_grant,
    parent text REFERENCES matter,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    request_key text,
    document jsonb NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE matter IS 'something that the law wants done: an application, an entry, an obligation, a dispute ...';
COMMENT ON COLUMN matter.request_key IS 'what the client named its request by, so that a repeated one opens nothing';
CREATE INDEX matter_requester ON matter (requester, kind, id);
CREATE INDEX matter_provider ON matter (provider, kind, id);
CREATE INDEX matter_coordinator ON matter (coordinator, kind, id);
CREATE INDEX matter_resource ON matter (resource, kind);
CREATE INDEX matter_grant ON matter (grant_id) WHERE grant_id IS NOT NULL;
CREATE INDEX matter_parent ON matter (parent) WHERE parent IS NOT NULL;
CREATE INDEX matter_requester_open ON matter (requester, kind, id) WHERE NOT closed;
CREATE INDEX matter_provider_open ON matter (provider, kind, id) WHERE NOT closed;
CREATE INDEX matter_coordinator_open ON matter (coordinator, kind, id) WHERE NOT closed;
CREATE INDEX matter_changed ON matter (changed_at);
CREATE UNIQUE INDEX matter_request ON matter (request_key) WHERE request_key IS NOT NULL;

CREATE TABLE matter_event (
    matter text NOT NULL REFERENCES matter,
    version integer NOT NULL,
    event text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    party text NOT NULL,
    role text NOT NULL,
    department text REFERENCES department,
    client text NOT NULL CHECK (client <> ''),
    person text,
    at timestamptz NOT NULL,
    reason text NOT NULL,
    document jsonb NOT NULL,
    request_id text NOT NULL,
    PRIMARY KEY (matter, version)
);
COMMENT ON TABLE matter_event IS 'every step of every matter: who, when, why, and what was given';
COMMENT ON COLUMN matter_event.department IS 'null: the platform itself';
CREATE INDEX matter_event_at ON matter_event (at);

CREATE TABLE matter_task (
    matter text NOT NULL REFERENCES matter,
    department text NOT NULL REFERENCES department,
    role text NOT NULL,
    since timestamptz NOT NULL,
    due_on date,
    PRIMARY KEY (matter, department, role)
);
COMMENT ON TABLE matter_task IS 'whom an open matter waits for';
CREATE INDEX matter_task_inbox ON matter_task (department, (coalesce(due_on, 'infinity'::date)), matter, role);

CREATE TABLE deadline (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    matter text NOT NULL REFERENCES matter,
    kind text NOT NULL,
    department text NOT NULL REFERENCES department,
    rule_set text NOT NULL,
    rule_version integer NOT NULL,
    days integer NOT NULL CHECK (days >= 0),
    extended_days integer NOT NULL DEFAULT 0 CHECK (extended_days >= 0),
    started_on date NOT NULL,
    paused_on date,
    paused_days integer NOT NULL DEFAULT 0 CHECK (paused_days >= 0),
    due_on date NOT NULL,
    provisional boolean NOT NULL,
    calendar text NOT NULL,
    ended_on date,
    met boolean,
    flagged_at timestamptz,
    reminded integer,
    CHECK ((ended_on IS NULL) = (met IS NULL))
);
COMMENT ON COLUMN deadline.days IS 'working days that the rule gives; days of Asia/Shanghai everywhere';
COMMENT ON COLUMN deadline.department IS 'whose deadline it is, and against whom it counts';
COMMENT ON COLUMN deadline.paused_days IS 'working days for which the clock stood (Order 809 Art. 21)';
COMMENT ON COLUMN deadline.met IS 'whether what was due was done; false: nobody has to do it any more';
COMMENT ON COLUMN deadline.flagged_at IS 'when it was found overdue';
COMMENT ON COLUMN deadline.reminded IS 'working days left at the last reminder';
CREATE UNIQUE INDEX deadline_matter ON deadline (matter, kind) WHERE ended_on IS NULL;
CREATE INDEX deadline_of_matter ON deadline (matter);
CREATE INDEX deadline_running ON deadline (due_on) WHERE ended_on IS NULL;
CREATE INDEX deadline_department ON deadline (department, kind, due_on);

CREATE TABLE grant_basis (
    grant_id text PRIMARY KEY REFERENCES data_grant,
    matter text NOT NULL REFERENCES matter
);
COMMENT ON TABLE grant_basis IS 'the application, consultation or coordination that a grant rests on';
CREATE INDEX grant_basis_matter ON grant_basis (matter);

CREATE TABLE notice (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    department text NOT NULL REFERENCES department,
    role text,
    kind text NOT NULL,
    matter text REFERENCES matter,
    grant_id text REFERENCES data_grant,
    resource text,
    at timestamptz NOT NULL,
    document jsonb NOT NULL,
    read_at timestamptz,
    read_by text
);
COMMENT ON TABLE notice IS 'what a department is told and need not answer';
COMMENT ON COLUMN notice.role IS 'null: everybody of the department';
CREATE INDEX notice_unread ON notice (department, id) WHERE read_at IS NULL;
CREATE INDEX notice_department ON notice (department, id)
"""

_STEP = """
CREATE FUNCTION take_step() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    it matter%ROWTYPE;
    step workflow_step%ROWTYPE;
BEGIN
    SELECT * INTO it FROM matter WHERE id = NEW.matter FOR NO KEY UPDATE;
    IF NEW.version <> it.version + 1 OR NEW.from_state <> it.state THEN
        RAISE EXCEPTION 'matter `%` has changed', NEW.matter USING ERRCODE = 'TL002';
    END IF;
    SELECT * INTO step FROM workflow_step s WHERE s.kind = it.kind AND s.rule_set = it.rule_set
        AND s.from_state = NEW.from_state AND s.event = NEW.event AND s.to_state = NEW.to_state;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'matter `%` cannot go from `%` by `%` to `%` under `%`',
            NEW.matter, NEW.from_state, NEW.event, NEW.to_state, it.rule_set USING ERRCODE = 'TL001';
    END IF;
    IF EXISTS (SELECT FROM matter_event e WHERE e.matter = NEW.matter AND e.event = ANY (step.apart_from)
               AND e.department = NEW.department
               AND (coalesce(e.person, e.client) = coalesce(NEW.person, NEW.client)
                    OR ((e.person IS NULL OR NEW.person IS NULL) AND e.client = NEW.client))) THEN
        RAISE EXCEPTION 'nobody takes `%` on what they did themselves', NEW.event USING ERRCODE = 'TL003';
    END IF;
    UPDATE matter SET state = NEW.to_state, version = NEW.version, closed = step.final, changed_at = NEW.at
        WHERE id = NEW.matter;
    INSERT INTO audit_record (request_id, at, department, client, person, purpose, operation_name, operation_hash,
                              document_kind, paths, items, grants, rows, outcome, codes, duration_us, node)
        VALUES (NEW.request_id, NEW.at, coalesce(NEW.department, ''), NEW.client, NEW.person, NULL, NEW.event, '',
                'act', ARRAY[it.kind || '/' || it.id || '/' || NEW.event || '/' || NEW.to_state],
                CASE WHEN it.resource IS NULL THEN '{}'::jsonb ELSE jsonb_build_object(it.resource, '[]'::jsonb) END,
                array_remove(ARRAY[coalesce(NEW.document ->> 'grant', it.grant_id)], NULL),
                '{}', 'ALLOWED', '{}', 0, coalesce(nullif(current_setting('tanglai.node', true), ''), 'database'));
    RETURN NEW;
END $$
"""

# INVARIANT: the state of a matter changes by an event alone, so each of its states has one that says who, when and why.
_GUARD = """
CREATE FUNCTION guard_matter() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> '' OR NEW.version <> 0 OR NEW.closed THEN
            RAISE EXCEPTION 'matter `%` is opened by its first event', NEW.id USING ERRCODE = 'TL001';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.kind, NEW.rule_set, NEW.rule_version, NEW.opened_at, NEW.request_key)
            IS DISTINCT FROM (OLD.id, OLD.kind, OLD.rule_set, OLD.rule_version, OLD.opened_at, OLD.request_key) THEN
        RAISE EXCEPTION 'matter `%` keeps its kind and its rule', OLD.id USING ERRCODE = 'TL001';
    END IF;
    IF (NEW.state, NEW.version, NEW.closed) IS DISTINCT FROM (OLD.state, OLD.version, OLD.closed)
            AND pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'matter `%` changes its state by an event', OLD.id USING ERRCODE = 'TL001';
    END IF;
    RETURN NEW;
END $$
"""

_OPENED = """
CREATE FUNCTION require_event() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM matter_event WHERE matter = NEW.id) THEN
        RAISE EXCEPTION 'matter `%` has no event', NEW.id USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END $$
"""

# An open deadline and a task are of an open matter: what is over waits for nobody.
_ENDED = """
CREATE FUNCTION require_open() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF (SELECT closed FROM matter WHERE id = NEW.matter) AND EXISTS (
            SELECT FROM matter_task t WHERE t.matter = NEW.matter) THEN
        RAISE EXCEPTION 'matter `%` is over and waits for nobody', NEW.matter USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END $$
"""

_WORK = """
CREATE FUNCTION tell_work() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify('tanglai_work', who) FROM (
        SELECT DISTINCT department AS who FROM fresh WHERE department IS NOT NULL) changed;
    RETURN NULL;
END $$
"""

STATEMENTS: tuple[str, ...] = (
    *(statement.strip() for statement in _TABLES.split(";\n") if statement.strip()),
    _STEP,
    _GUARD,
    _OPENED,
    _ENDED,
    _WORK,
    "CREATE TRIGGER a_guard BEFORE INSERT OR UPDATE ON matter FOR EACH ROW EXECUTE FUNCTION guard_matter()",
    "CREATE CONSTRAINT TRIGGER b_opened AFTER INSERT ON matter DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION require_event()",
    "CREATE TRIGGER a_step BEFORE INSERT ON matter_event FOR EACH ROW EXECUTE FUNCTION take_step()",
    "CREATE CONSTRAINT TRIGGER b_ended AFTER INSERT ON matter_event DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION require_open()",
    "CREATE TRIGGER z_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON matter_event EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER z_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON grant_basis EXECUTE FUNCTION refuse_change()",
    *(
        f"CREATE TRIGGER z_keep BEFORE DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()"
        for table in ("matter", "deadline", "notice")
    ),
    "CREATE TRIGGER c_tell_task AFTER INSERT ON matter_task REFERENCING NEW TABLE AS fresh "
    "FOR EACH STATEMENT EXECUTE FUNCTION tell_work()",
    "CREATE TRIGGER c_tell_gone AFTER DELETE ON matter_task REFERENCING OLD TABLE AS fresh "
    "FOR EACH STATEMENT EXECUTE FUNCTION tell_work()",
    "CREATE TRIGGER c_tell_notice AFTER INSERT ON notice REFERENCING NEW TABLE AS fresh "
    "FOR EACH STATEMENT EXECUTE FUNCTION tell_work()",
)
