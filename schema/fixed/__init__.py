"""In charge of the fixed part of the schema, in Strawberry: the catalogue, the principal and the dry run of access."""
