"""Tables of migration 0004: the calendar of working days and the rule sets' periods."""

STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE calendar_notice (
        year integer NOT NULL,
        version integer NOT NULL CHECK (version > 0),
        issued date NOT NULL,
        reference text NOT NULL CHECK (reference <> ''),
        rest date[] NOT NULL,
        make_up date[] NOT NULL,
        mark text NOT NULL,
        announced_by text NOT NULL CHECK (announced_by <> ''),
        announced_at timestamptz NOT NULL,
        PRIMARY KEY (year, version)
    )
    """,
    "COMMENT ON TABLE calendar_notice IS 'the State Council''s notices beside the built-in tables; the newest version "
    "of a year holds'",
    "COMMENT ON COLUMN calendar_notice.mark IS 'names the notice and its days, as in deadline.calendar'",
    """
    CREATE TABLE rule_set_period (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        zone text NOT NULL CHECK (zone IN ('INTRANET', 'EXTRANET')),
        rule_set text NOT NULL CHECK (rule_set <> ''),
        from_at timestamptz NOT NULL,
        by text NOT NULL CHECK (by <> ''),
        reason text NOT NULL CHECK (reason <> ''),
        recorded_at timestamptz NOT NULL,
        CONSTRAINT rule_set_period_ahead CHECK (from_at >= recorded_at)
    )
    """,
    "COMMENT ON TABLE rule_set_period IS 'which rule set the nodes of a zone follow from when on; of two from one "
    "moment the later recorded, before the first the node''s setting'",
    *(
        f"CREATE TRIGGER z_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()"
        for table in ("calendar_notice", "rule_set_period")
    ),
)
"""Run in their order, after those of `core`."""
