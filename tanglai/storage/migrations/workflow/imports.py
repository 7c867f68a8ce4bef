"""Tables of migration 0004: imports of spreadsheets."""

STATEMENTS: tuple[str, ...] = ()
"""Run in their order, after those of `core`."""
