"""In charge of turning a source query into one SQL statement, whatever the dialect."""
