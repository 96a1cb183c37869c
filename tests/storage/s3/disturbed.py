"""A real S3 server behind a line that goes wrong as it is told: answers of its own, answers that never arrive, later than they should.

What a server does under load, with credentials that expire, or with listings that lag cannot be ordered from one; how its answers
look then is taken from AWS's documentation.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

HANDED_ON = ("Content-Type", "Content-MD5", "Content-Length", "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date",
             "x-amz-object-lock-legal-hold", "x-amz-date", "Authorization", "x-amz-content-sha256", "x-amz-bypass-governance-retention",
             "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm", "If-Match", "If-None-Match")  # fmt: skip


class Asked(NamedTuple):
    """A request as it arrived."""

    verb: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    conditional: bool = False

    @property
    def deletes(self) -> bool:
        return self.verb == "DELETE" or (self.verb == "POST" and "delete" in self.query)

    @property
    def lists(self) -> bool:
        return self.verb == "GET" and "versions" in self.query


class Told(NamedTuple):
    """An answer. ``status`` 0: the line is cut instead."""

    status: int
    body: bytes = b""


Trouble = Callable[[Asked, Callable[[], Told]], Told]
"""What to answer; the second argument hands the request on and gives the server's own answer."""


def error(status: int, code: str) -> Told:
    return Told(status, f"<Error><Code>{code}</Code><Message>told so</Message></Error>".encode())


class Line:
    """The line and what was asked over it."""

    def __init__(self, endpoint: str) -> None:
        self.there = urlsplit(endpoint).netloc
        self.asked: list[Asked] = []
        self.trouble: Trouble = lambda asked, hand_on: hand_on()
        self.url = ""
        self.lock = threading.Lock()

    def count(self, kind: Callable[[Asked], bool]) -> int:
        return sum(map(kind, self.asked))


@contextmanager
def line_to(endpoint: str) -> Iterator[Line]:
    line = Line(endpoint)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(line))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    line.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield line
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(line: Line) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: names are not for the tests' output."""

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            asked = Asked(
                self.command,
                parts.path,
                parse_qs(parts.query, keep_blank_values=True),
                body,
                conditional="If-Match" in self.headers or "If-None-Match" in self.headers,
            )
            with line.lock:
                line.asked.append(asked)
            headers: dict[str, str] = {}

            def hand_on() -> Told:
                connection = http.client.HTTPConnection(line.there, timeout=30)
                try:
                    given = {name: self.headers[name] for name in HANDED_ON if name in self.headers}
                    connection.request(self.command, self.path, body=body or None, headers=given)
                    answer = connection.getresponse()
                    headers.update(answer.getheaders())
                    return Told(answer.status, answer.read())
                finally:
                    connection.close()

            told = line.trouble(asked, hand_on)
            if told.status == 0:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(told.status)
            for name, value in headers.items():
                if name.lower() not in (
                    "content-length",
                    "transfer-encoding",
                    "connection",
                    "date",
                    "server",
                ):
                    self.send_header(name, value)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(told.body))
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told.body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any

    return Handler
