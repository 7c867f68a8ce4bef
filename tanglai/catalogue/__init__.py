"""In charge of the catalogue's words: departments, resources, items, grants, predicates and masks, as pure data."""
