"""In charge of answering operations. Planning does no I/O, executing takes no decision."""
