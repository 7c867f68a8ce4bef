"""A JSON interface as a process of its own, with limits and faults, for the contract suite.

`python endpoint.py FILE`: FILE is `{"people": [...], "cars": [...]}`; prints its port. Stops when standard input ends.
Lists: `/plain/T`, `/paged/T` (at most 3 items a page, whatever is asked), `/offset/T`, `/cursor/T`, filtered by
`?column=value` and `?columns=a,b` or repeated. Faults: see `FAULTS`. `/log` tells the requests so far.
"""

import base64
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

LIMIT = 3
SECONDS = 30.0


class Interface(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tables: dict[str, list[dict[str, Any]]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tables = tables
        self.log: list[str] = []
        self.left: dict[str, int] = {}
        self.mutex = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Interface

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.query = parse_qs(parts.query, keep_blank_values=True)
        head, _, rest = parts.path.lstrip("/").partition("/")
        if head == "log":
            return self.send(self.server.log)
        self.server.log.append(self.path)
        if self.headers.get("authorization") != "Bearer right":
            return self.send({"error": "who is it"}, 401)
        serve: Callable[[str], None] = getattr(self, f"serve_{head}")
        return serve(rest)

    def send(self, document: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def rows(self, table: str) -> list[dict[str, Any]]:
        rows = self.server.tables[table]
        for column in ("id", "name", "code", "owner", "Plate"):
            wanted = self.query.get(column)
            if wanted is not None:
                rows = [row for row in rows if str(row.get(column)) in wanted]
            several = self.query.get(f"{column}s")
            if several is not None:
                values = {value for text in several for value in text.split(",")}
                rows = [row for row in rows if str(row.get(column)) in values]
        return rows

    def number(self, name: str, default: int) -> int:
        return int(self.query.get(name, [str(default)])[0])

    # --- lists -----------------------------------------------------------------------------------------------------

    def serve_plain(self, table: str) -> None:
        self.send(self.rows(table))

    def serve_paged(self, table: str) -> None:
        rows, page = self.rows(table), self.number("page", 1)
        size = min(self.number("size", LIMIT), LIMIT)
        self.send({"total": len(rows), "data": {"items": rows[(page - 1) * size :][:size]}})

    def serve_offset(self, table: str) -> None:
        rows, offset = self.rows(table), self.number("offset", 0)
        self.send({"items": rows[offset:][: min(self.number("limit", LIMIT), LIMIT)]})

    def serve_cursor(self, table: str) -> None:
        rows = self.rows(table)
        start = int(base64.b64decode(self.query["cursor"][0])) if "cursor" in self.query else 0
        end = start + LIMIT
        following = base64.b64encode(str(end).encode()).decode() if end < len(rows) else None
        self.send({"items": rows[start:end], "page": {"next": following}})

    def serve_nested(self, table: str) -> None:
        self.send({"items": [{"attributes": {"a.b": row, "list": [row]}} for row in self.rows(table)]})

    # --- faults ----------------------------------------------------------------------------------------------------

    def serve_flaky(self, rest: str) -> None:
        """`/flaky/STATUS/TIMES/TOKEN`: STATUS for the first TIMES requests with TOKEN, then all people."""
        status, times, token = rest.split("/")
        with self.server.mutex:
            left = self.server.left.setdefault(token, int(times))
            self.server.left[token] = left - 1
        if left > 0:
            return self.send({"error": "later"}, int(status), {"Retry-After": "0"})
        return self.send(self.rows("people"))

    def serve_status(self, status: str) -> None:
        self.send({"error": "secret detail"}, int(status), {"Retry-After": "3600"})

    def serve_slow(self, seconds: str) -> None:
        time.sleep(min(float(seconds), SECONDS))
        self.send(self.rows("people"))

    def serve_truncated(self, rest: str) -> None:
        self.send(json.dumps(self.rows("people")).encode()[:-40])

    def serve_short(self, rest: str) -> None:
        body = json.dumps(self.rows("people")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + 100))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def serve_reset(self, rest: str) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def serve_object(self, rest: str) -> None:
        self.send({"items": {"not": "a list"}})

    def serve_deep(self, rest: str) -> None:
        self.send(b"[" * 100_000)

    def serve_numbers(self, rest: str) -> None:
        self.send(b'[{"id": 1, "age": 1e999999999, "amount": 1E+400, "score": NaN, "balance": %s}]' % (b"9" * 5000))

    def serve_types(self, rest: str) -> None:
        wrong = {
            "id": "1",
            "name": 5,
            "flag": "maybe",
            "age": 1.5,
            "balance": True,
            "amount": [],
            "born": "2023-02-29",
            "at": "24:00:00",
            "seen": "yesterday",
            "changed": {},
            "shape": [1],
            "score": "x",
            "code": "\ud800",
        }
        self.send([wrong, 5, None, "text", {"id": 2}])  # fmt: skip

    def serve_endless(self, rest: str) -> None:
        self.send([{"id": index} for index in range(100)])

    def serve_circle(self, rest: str) -> None:
        self.send({"items": [{"id": 1}], "page": {"next": "again"}})

    def serve_void(self, rest: str) -> None:
        self.send({"items": [], "page": {"next": str(time.monotonic_ns())}})

    def serve_large(self, rest: str) -> None:
        self.send(b"[" + b" " * 3_000_000 + b"]")

    def serve_moved(self, rest: str) -> None:
        """`/moved/here` leads to `/plain/people`, `/moved/away` to another host, `/moved/round` to itself."""
        host = f"http://127.0.0.1:{self.server.server_port}"
        target = {"here": f"{host}/plain/people", "away": "http://localhost:9/", "round": "/moved/round"}[rest]
        self.send({}, 302, {"Location": target})

    def serve_structure(self, rest: str) -> None:
        self.send({"people": {"id": "LONG", "name": "string", "extra": "blob"}})


def main() -> None:
    interface = Interface(json.loads(Path(sys.argv[1]).read_text()))
    threading.Thread(target=interface.serve_forever, daemon=True).start()
    print(interface.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
