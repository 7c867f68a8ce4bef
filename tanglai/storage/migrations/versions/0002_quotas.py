"""Quotas: what of each grant is taken per day of Asia/Shanghai, and whom the day's answers were about."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE quota_use (
    grant_id text NOT NULL REFERENCES data_grant,
    day date NOT NULL,
    rows bigint NOT NULL CHECK (rows >= 0),
    requests bigint NOT NULL CHECK (requests >= 0),
    subjects bigint NOT NULL CHECK (subjects >= 0),
    PRIMARY KEY (grant_id, day)
) WITH (fillfactor = 50);
COMMENT ON TABLE quota_use IS 'what is delivered under a grant, or held for it by a node; never more than its quota';
COMMENT ON COLUMN quota_use.day IS 'of Asia/Shanghai';

CREATE TABLE quota_subject (
    grant_id text NOT NULL,
    day date NOT NULL,
    subject bytea NOT NULL,
    PRIMARY KEY (grant_id, day, subject)
);
COMMENT ON TABLE quota_subject IS 'keyed hashes of whom answers were about; gone with their key when the day is over';
CREATE INDEX quota_subject_day ON quota_subject (day);
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        if statement.strip():
            # Not op.execute, which would read a colon as a parameter.
            op.get_bind().exec_driver_sql(statement)
