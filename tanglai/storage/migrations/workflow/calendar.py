"""Tables of migration 0004: the calendar of working days and the rule sets' periods."""

STATEMENTS: tuple[str, ...] = ()
"""Run in their order, after those of `core`."""
