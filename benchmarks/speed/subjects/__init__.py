"""In charge of the servers that take part in a measurement."""
