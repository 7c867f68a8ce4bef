"""In charge of the words around a start: why there was none, and where the server listens."""

import socket


class StartError(RuntimeError):
    """The server could not start; the message says why."""


def url_of(listening: socket.socket) -> str:
    """`http://host:port` of a socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
