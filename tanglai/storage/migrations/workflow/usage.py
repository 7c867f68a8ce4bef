"""Tables of migration 0004: use per grant, counted from the audit log."""

STATEMENTS: tuple[str, ...] = ()
"""Run in their order, after those of `core`."""
