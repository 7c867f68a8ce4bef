"""Exports: the records of one export belong together, and what one did not deliver is taken off its bound."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("ALTER TABLE audit_record ADD COLUMN export text")
    run(
        "COMMENT ON COLUMN audit_record.export IS "
        "'id of an export: one record `export` with its bound before the first byte, one `export-end` after the last'"
    )
    # INVARIANT: an export begins once and ends once, so that no second end takes rows off its bound again.
    run(
        "CREATE UNIQUE INDEX audit_record_export ON audit_record (export, document_kind) INCLUDE (id) "
        "WHERE export IS NOT NULL"
    )


def run(statement: str) -> None:
    # Not op.execute, which would read a colon as a parameter.
    op.get_bind().exec_driver_sql(statement)
