"""Tables of migration 0004: notices and webhooks."""

STATEMENTS: tuple[str, ...] = ()
"""Run in their order, after those of `core`."""
