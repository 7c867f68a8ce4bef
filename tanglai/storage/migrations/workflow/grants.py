"""Tables of migration 0004: what follows from a grant's change, whoever makes it, so that no matter contradicts it."""

_TABLES = """
CREATE TABLE grant_news (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    grant_id text NOT NULL REFERENCES data_grant,
    to_state text NOT NULL,
    by text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL
);
COMMENT ON TABLE grant_news IS 'new states of grants that their departments are not told of yet';
CREATE INDEX grant_news_grant ON grant_news (grant_id);

CREATE TABLE grant_reminder (
    grant_id text NOT NULL REFERENCES data_grant,
    valid_to timestamptz NOT NULL,
    days integer NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (grant_id, valid_to, days)
);
COMMENT ON TABLE grant_reminder IS 'reminders of the end of a validity, so many working days before it';

CREATE UNIQUE INDEX matter_one_suspension ON matter (grant_id) WHERE kind = 'SUSPENSION' AND NOT closed;
CREATE UNIQUE INDEX matter_one_service_change ON matter (grant_id) WHERE kind = 'SERVICE_CHANGE' AND NOT closed;
CREATE UNIQUE INDEX matter_one_disposal ON matter (grant_id) WHERE kind = 'DISPOSAL';
CREATE UNIQUE INDEX matter_one_extension ON matter (parent) WHERE kind = 'EXTENSION' AND NOT closed;
CREATE INDEX data_grant_of_resource ON data_grant (resource, id);
CREATE INDEX resource_retired ON resource (code) WHERE version IS NULL
"""

# INVARIANT: an open suspension is of a suspended grant, an open service change of one that runs. What somebody else
# changes, an operator at the command line too, lets them lapse in the same transaction; a disposal cannot be passed by.
_FOLLOW = """
CREATE FUNCTION follow_grant() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    it record;
    who text := coalesce(nullif(current_setting('tanglai.by', true), ''), session_user);
    why text := coalesce(nullif(current_setting('tanglai.reason', true), ''), 'changed in the database');
BEGIN
    IF NOT EXISTS (SELECT FROM fresh f JOIN stale s ON s.id = f.id WHERE s.state <> f.state) THEN
        RETURN NULL;
    END IF;
    INSERT INTO grant_news (grant_id, to_state, by, reason, at)
        SELECT f.id, f.state, who, why, clock_timestamp() FROM fresh f JOIN stale s ON s.id = f.id
        WHERE s.state <> f.state AND f.state <> 'DISPOSED' ORDER BY f.id;
    PERFORM FROM matter WHERE NOT closed AND grant_id IN (SELECT id FROM fresh) ORDER BY id FOR NO KEY UPDATE;
    FOR it IN
        SELECT m.id, m.kind, m.state, m.version, m.grant_id, f.state AS now
        FROM matter m JOIN fresh f ON f.id = m.grant_id JOIN stale s ON s.id = f.id
        WHERE NOT m.closed AND s.state <> f.state ORDER BY m.id
    LOOP
        IF it.kind = 'DISPOSAL' AND it.now = 'DISPOSED' THEN
            RAISE EXCEPTION 'the requester states the disposal of grant `%` by `%`', it.grant_id, it.id
                USING ERRCODE = 'TL001';
        ELSIF (it.kind = 'SUSPENSION' AND it.now <> 'SUSPENDED')
                OR (it.kind = 'SERVICE_CHANGE' AND it.now NOT IN ('ACTIVE', 'SUSPENDED')) THEN
            INSERT INTO matter_event (matter, version, event, from_state, to_state, party, role, department, client,
                                      person, at, reason, document, request_id)
                VALUES (it.id, it.version + 1, 'LAPSE', it.state,
                        CASE WHEN it.kind = 'SERVICE_CHANGE' THEN 'WITHDRAWN' WHEN it.now = 'ACTIVE' THEN 'RESUMED'
                             ELSE 'ENDED' END,
                        'platform', 'operator', NULL, who, NULL, clock_timestamp(), why,
                        jsonb_build_object('state', it.now),
                        coalesce(nullif(current_setting('tanglai.request', true), ''), 'database'));
            DELETE FROM matter_task WHERE matter = it.id;
            UPDATE deadline SET met = false, ended_on = (clock_timestamp() AT TIME ZONE 'Asia/Shanghai')::date
                WHERE matter = it.id AND ended_on IS NULL;
        END IF;
    END LOOP;
    RETURN NULL;
END $$
"""

# An extension is of a deadline that runs: when what it was about is over, so is it.
_LAPSE_EXTENSION = """
CREATE FUNCTION lapse_extension() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    it record;
BEGIN
    IF NOT (SELECT closed FROM matter WHERE id = NEW.matter) THEN
        RETURN NULL;
    END IF;
    FOR it IN
        SELECT id, state, version FROM matter
        WHERE parent = NEW.matter AND kind = 'EXTENSION' AND NOT closed ORDER BY id FOR NO KEY UPDATE
    LOOP
        INSERT INTO matter_event (matter, version, event, from_state, to_state, party, role, department, client,
                                  person, at, reason, document, request_id)
            VALUES (it.id, it.version + 1, 'LAPSE', it.state, 'WITHDRAWN', 'platform', 'operator', NULL, 'platform',
                    NULL, NEW.at, '', jsonb_build_object('parent', NEW.to_state), NEW.request_id);
        DELETE FROM matter_task WHERE matter = it.id;
    END LOOP;
    RETURN NULL;
END $$
"""

# INVARIANT: the other way round: who opens or settles such a matter changes the grant in the same transaction.
_AGREE = """
CREATE FUNCTION require_agreement() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    it matter%ROWTYPE;
    has text;
    fits boolean;
BEGIN
    SELECT * INTO it FROM matter WHERE id = NEW.matter;
    IF it.kind NOT IN ('SUSPENSION', 'SERVICE_CHANGE', 'DISPOSAL') OR it.version <> NEW.version THEN
        RETURN NULL;
    END IF;
    SELECT state INTO has FROM data_grant WHERE id = it.grant_id;
    fits := CASE it.kind
        WHEN 'SUSPENSION' THEN CASE it.state WHEN 'RESUMED' THEN has = 'ACTIVE'
            WHEN 'ENDED' THEN has NOT IN ('ACTIVE', 'SUSPENDED') ELSE has = 'SUSPENDED' END
        WHEN 'SERVICE_CHANGE' THEN it.state IN ('ESCALATED', 'WITHDRAWN')
            OR (has IN ('ACTIVE', 'SUSPENDED')) <> (it.state = 'FILED' AND it.document ->> 'change' = 'END')
        ELSE CASE it.state WHEN 'STATED' THEN has = 'DISPOSED' ELSE has IN ('ENDED', 'EXPIRED') END
    END;
    IF fits IS NOT TRUE THEN
        RAISE EXCEPTION 'matter `%` in state `%` contradicts its grant in state `%`', it.id, it.state, has
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END $$
"""

# Every change of a grant's state is in the audit log, an operator's and an expiry too; `by` is like `code/name`.
_AUDIT = """
CREATE FUNCTION audit_grant() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO audit_record (request_id, at, department, client, person, purpose, operation_name, operation_hash,
                              document_kind, paths, items, grants, rows, outcome, codes, duration_us, node)
        SELECT 'grant-transition-' || f.id, f.at, CASE WHEN f.by ~ '^[0-9A-Z]{18}/' THEN left(f.by, 18) ELSE '' END,
               regexp_replace(f.by, '^[0-9A-Z]{18}/', ''), NULL, g.purpose, f.to_state, '', 'grant',
               ARRAY['GRANT/' || f.grant_id || '/' || f.from_state || '/' || f.to_state],
               jsonb_build_object(g.resource, '[]'::jsonb), ARRAY[f.grant_id], '{}', 'ALLOWED', '{}', 0,
               coalesce(nullif(current_setting('tanglai.node', true), ''), 'database')
        FROM fresh f JOIN data_grant g ON g.id = f.grant_id WHERE f.from_state <> f.to_state ORDER BY f.id;
    RETURN NULL;
END $$
"""

STATEMENTS: tuple[str, ...] = (
    *(statement.strip() for statement in _TABLES.split(";\n") if statement.strip()),
    _FOLLOW,
    _LAPSE_EXTENSION,
    _AGREE,
    _AUDIT,
    "CREATE TRIGGER c_audit AFTER INSERT ON grant_transition REFERENCING NEW TABLE AS fresh "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_grant()",
    "CREATE TRIGGER d_follow AFTER UPDATE ON data_grant REFERENCING OLD TABLE AS stale NEW TABLE AS fresh "
    "FOR EACH STATEMENT EXECUTE FUNCTION follow_grant()",
    "CREATE TRIGGER c_lapse AFTER INSERT ON matter_event FOR EACH ROW EXECUTE FUNCTION lapse_extension()",
    "CREATE CONSTRAINT TRIGGER d_agree AFTER INSERT ON matter_event DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION require_agreement()",
)
"""Run in their order, after those of `core`."""
