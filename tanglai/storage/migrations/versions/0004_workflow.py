"""The law's work: matters, their events, tasks and deadlines, the calendar, use per grant, imports, notices."""

from alembic import op

from tanglai.catalogue.workflow.machines import rows
from tanglai.storage.migrations.workflow import calendar, core, disputes, grants, imports, outbox, usage

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for part in (core, calendar, usage, imports, outbox, disputes, grants):
        for statement in part.STATEMENTS:
            # Not op.execute, which would read a colon as a parameter.
            op.get_bind().exec_driver_sql(statement)
    # The machines as they are when the database is made; a later change of theirs comes with a migration of its own,
    # and a test holds the table to the files.
    for row in rows():
        op.get_bind().exec_driver_sql("INSERT INTO workflow_step VALUES ($1, $2, $3, $4, $5, $6, $7)", row)
