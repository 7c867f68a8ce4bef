"""In charge of reading departments' sources: the only code that talks to them. Knows predicates, never principals."""
