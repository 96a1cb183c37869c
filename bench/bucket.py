"""A stand-in for a distant S3 server, as a process of its own: one bucket, answers as slow as AWS's, and hardly any work of its own.

A real server on this machine would be what is measured. Every request takes `REQUEST_SECONDS`, every key deleted by version `KEY_SECONDS`
more. ``python -m bench.bucket COUNT`` fills it with that many versions, one a key, prints its port, and serves until it is ended.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

BUCKET = "bench"
REQUEST_SECONDS = 0.020
KEY_SECONDS = 0.0003
_KEY = re.compile(rb"<Key>([^<]+)</Key>")
_VERSION = (
    "<Version><Key>%s</Key><VersionId>%s</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    '<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>1024</Size><StorageClass>STANDARD</StorageClass><Owner>'
    "<ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID><DisplayName>library</DisplayName></Owner></Version>"
)  # fmt: skip
_MISSING = {
    "versioning": (200, b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
    "uploads": (
        200,
        b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>",
    ),
    "lifecycle": (404, b"<Error><Code>NoSuchLifecycleConfiguration</Code></Error>"),
    "replication": (404, b"<Error><Code>ReplicationConfigurationNotFoundError</Code></Error>"),
    "object-lock": (404, b"<Error><Code>ObjectLockConfigurationNotFoundError</Code></Error>"),
}


def key_of(number: int) -> str:
    return f"exports/{number // 1000:04}/patrons-{number:07}.csv"


def version_of(number: int) -> str:
    return f"{number:032x}"


class Bucket:
    """The keys that are left, in order."""

    def __init__(self, count: int) -> None:
        self.keys = [key_of(number) for number in range(count)]
        self.lines = [_VERSION % (key, version_of(number)) for number, key in enumerate(self.keys)]
        self.gone: set[str] = set()
        self.lock = threading.Lock()

    def page(self, prefix: str, after: str, size: int) -> bytes:
        at = bisect_right(self.keys, after) if after else 0
        shown: list[int] = []
        while at < len(self.keys) and len(shown) < size:
            key = self.keys[at]
            if key not in self.gone:
                if key.startswith(prefix):
                    shown.append(at)
                elif key > prefix:
                    at = len(self.keys)
            at += 1
        more = at < len(self.keys) and bool(shown)
        last = f"<NextKeyMarker>{self.keys[shown[-1]]}</NextKeyMarker><NextVersionIdMarker>{version_of(shown[-1])}</NextVersionIdMarker>" if more else ""  # fmt: skip
        head = f'<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>{str(more).lower()}</IsTruncated>{last}'
        return (head + "".join(self.lines[number] for number in shown) + "</ListVersionsResult>").encode()

    def delete(self, keys: list[str]) -> None:
        with self.lock:
            self.gone.update(keys)


def serve(count: int) -> None:
    """Serve until ended."""
    bucket = Bucket(count)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
            if "versions" in query:
                said = {name: values[0] for name, values in query.items()}
                size = int(said.get("max-keys", 1000))
                self._answer(200, bucket.page(said.get("prefix", ""), said.get("key-marker", ""), size))
                return
            for name, (status, body) in _MISSING.items():
                if name in query:
                    self._answer(status, body)
                    return
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            keys = [found.decode() for found in _KEY.findall(body)]
            time.sleep(KEY_SECONDS * len(keys))
            bucket.delete(keys)
            self._answer(200, b"<DeleteResult></DeleteResult>")

        def do_DELETE(self) -> None:
            time.sleep(KEY_SECONDS)
            bucket.delete([urlsplit(self.path).path.split("/", 2)[2]])
            self._answer(204, b"")

        def _answer(self, status: int, body: bytes) -> None:
            time.sleep(REQUEST_SECONDS)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


@contextmanager
def filled(count: int) -> Iterator[str]:
    """The address of a fresh server with so many versions, ended afterwards."""
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.bucket", str(count)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
