"""A witness as C2SP tlog-witness has it, on loopback: it signs what continues the last checkpoint it saw, and keeps that.

Written from the documents with `cryptography` alone, so that it and the product check each other. It can also be told to go wrong.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

Answer = tuple[int, bytes]


def key_text(name: str, kind: int, raw: bytes) -> str:
    """A key as signed notes write it."""
    return f"{name}+{key_hash(name, kind, raw).hex()}+{base64.b64encode(bytes([kind]) + raw).decode()}"


def key_hash(name: str, kind: int, raw: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + raw).digest()[:4]


@dataclass
class Witness:
    """``log``: name and key (raw) of the one log it knows. ``seen``: size and root of what it signed last."""

    log: tuple[str, bytes]
    name: str = "witness.example/w1"
    url: str = ""
    seen: tuple[int, bytes] = (0, b"")
    asked: list[bytes] = field(default_factory=list)
    wrong: Callable[[bytes, Answer], Answer] = lambda _asked, answer: answer
    """What it answers instead."""

    def __post_init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._turn = Lock()

    @property
    def key(self) -> str:
        return key_text(self.name, 4, self._key.public_key().public_bytes_raw())

    def add_checkpoint(self, body: bytes) -> Answer:
        with self._turn:
            self.asked.append(body)
            return self.wrong(body, self._add(body))

    def _add(self, body: bytes) -> Answer:
        head, _, note = body.partition(b"\n\n")
        first, *hashes = head.decode().split("\n")
        word, old_text = first.split(" ")
        text, _, signatures = note.decode().rpartition("\n\n")
        origin, size_text, root_text = text.split("\n")[:3]
        old, size, root = int(old_text), int(size_text), base64.b64decode(root_text)
        proof = [base64.b64decode(one, validate=True) for one in hashes]
        if word != "old" or old > size or len(proof) > 63:
            return 400, b"malformed\n"
        if origin != self.log[0]:
            return 404, b"I know no such log\n"
        if not self._is_signed(f"{text}\n".encode(), signatures):
            return 403, b"the log did not sign this\n"
        if old != self.seen[0]:
            return 409, f"{self.seen[0]}\n".encode()
        if old == size and root != self.seen[1]:
            return 409, f"{self.seen[0]}\n".encode()
        if not continues(self.seen, (size, root), proof):
            return 422, b"not consistent\n"
        self.seen = (size, root)
        return 200, self.line(f"{text}\n", int(time.time()))

    def line(self, text: str, seconds: int) -> bytes:
        """Its cosignature (C2SP tlog-cosignature)."""
        message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
        raw = self._key.public_key().public_bytes_raw()
        data = key_hash(self.name, 4, raw) + seconds.to_bytes(8, "big") + self._key.sign(message)
        return f"— {self.name} {base64.b64encode(data).decode()}\n".encode()

    def _is_signed(self, text: bytes, signatures: str) -> bool:
        name, raw = self.log
        for line in signatures.splitlines():
            _, signer, data = line.split(" ")
            blob = base64.b64decode(data)
            if signer == name and blob[:4] == key_hash(name, 1, raw):
                try:
                    Ed25519PublicKey.from_public_bytes(raw).verify(blob[4:], text)
                except InvalidSignature:
                    return False
                return True
        return False


def continues(old: tuple[int, bytes], new: tuple[int, bytes], proof: list[bytes]) -> bool:
    """RFC 9162 §2.1.4.2, written from its text: recursively, from the sizes, unlike the product."""
    if old[0] in (0, new[0]):
        return not proof and (old[0] == 0 or old[1] == new[1])
    rest = list(proof)

    def both(m: int, n: int, whole: bool) -> tuple[bytes, bytes]:
        """Roots of the first m and of all n leaves of a subtree; ``whole``: the old tree's root is known to be it."""
        if m == n:
            one = old[1] if whole else rest.pop(0)
            return one, one
        k = 1 << (n - 1).bit_length() - 1
        if m <= k:
            before, after = both(m, k, whole)
            return before, node(after, rest.pop(0))
        before, after = both(m - k, n - k, False)
        left = rest.pop(0)
        return node(left, before), node(left, after)

    try:
        before, after = both(old[0], new[0], True)
    except IndexError:
        return False
    return not rest and before == old[1] and after == new[1]


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@contextmanager
def serving(witness: Witness) -> Iterator[Witness]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = witness.add_checkpoint(body) if self.path == "/w/add-checkpoint" else (404, b"")
            if status == 0:
                return  # the line is cut
            self.send_response(status)
            if status == 307:
                self.send_header("Location", answer.decode())
                answer = b""
            self.send_header("Content-Type", "text/x.tlog.size" if status == 409 else "text/plain")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    witness.url = f"http://127.0.0.1:{server.server_address[1]}/w"
    try:
        yield witness
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
