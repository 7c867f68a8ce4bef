"""Published cubes: what statistics grants publish, once per grant, terms and period."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE published_cube (
    grant_id text NOT NULL REFERENCES data_grant,
    terms text NOT NULL,
    period text NOT NULL,
    cells jsonb NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (grant_id, terms, period)
)
"""


def upgrade() -> None:
    run(TABLE)
    run("COMMENT ON TABLE published_cube IS 'cells and figures as published: small ones left out, the others rounded'")
    run("COMMENT ON COLUMN published_cube.terms IS 'digest of the terms of the grant that the cube is made by'")
    # INVARIANT: a second cube of one period would tell by its difference from the first what neither tells.
    run("CREATE TRIGGER z_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON published_cube EXECUTE FUNCTION refuse_change()")


def run(statement: str) -> None:
    # Not op.execute, which would read a colon as a parameter.
    op.get_bind().exec_driver_sql(statement)
