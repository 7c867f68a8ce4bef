"""In charge of HTTP: who asks, what is asked, bytes out; and of putting a node together."""
