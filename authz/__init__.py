"""In charge of what a principal sees: pure decisions, no I/O, no GraphQL, no SQL text."""
