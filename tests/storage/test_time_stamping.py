"""Checkpoints are stamped by an authority made here with openssl; a stamp counts for its checkpoint and its authority only."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from retention.checkpoint import open_checkpoint
from retention.errors import Unavailable, UsageError, VerificationFailed
from retention.log_files import LogFiles
from retention.steps import Result, Step
from retention.time_stamp import checker, request
from retention.verify import verify
from retention.verify_log import LogEvidence
from storage.ledger.ledger import Ledger
from storage.log import Log
from storage.log_places import FolderPlace
from storage.time_stamping import over_http, stamp
from tests.independent.tools import require
from tests.retention.evidence_set import KEYS, LOG_KEY, OTHERS, Handed, handed, written
from tests.storage.desk import folder_of, log_at
from tests.storage.test_log import many

CONFIG = """\
[req]
distinguished_name = dn
prompt = no
[dn]
CN = {name}
[ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[stamps]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class Authority:
    """A time-stamping authority with a root of its own, in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        require("openssl", "openssl")
        folder.mkdir()
        self.folder = folder
        (folder / "config").write_text(CONFIG.format(name=name, folder=folder))
        (folder / "serial").write_text("01\n")
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-config", "config", "-extensions", "ca", "-subj", f"/CN={name} root")  # fmt: skip
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tsa.key", "-out", "tsa.csr", "-config", "config", "-subj", f"/CN={name}")  # fmt: skip
        self._run("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "config", "-extensions", "stamps", "-out", "tsa.pem")  # fmt: skip
        self.root = (folder / "ca.pem").read_bytes()

    def __call__(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        self._run("ts", "-reply", "-config", "config", "-section", "authority", "-queryfile", "query", "-inkey", "tsa.key", "-signer", "tsa.pem", "-out", "reply")  # fmt: skip
        return (self.folder / "reply").read_bytes()

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            ["openssl", *words], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "one", "Authority")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "other", "Other")


@pytest.fixture
def log(sqlite_ledger: Ledger, tmp_path: Path) -> Log:
    many(sqlite_ledger, 3)
    made = log_at(tmp_path / "log", sqlite_ledger)
    made.publish()
    return made


def test_a_checkpoint_is_stamped_once_and_openssl_agrees(
    log: Log, authority: Authority, tmp_path: Path
) -> None:
    opened = log.opened()
    assert opened is not None
    assert stamp(log.files, opened, authority)
    assert not stamp(log.files, opened, authority)
    pair = log.files.stamp_after(2)
    assert pair is not None
    assert log.files.stamp_after(3) is None
    at = checker(authority.root)(pair[1], pair[0])
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=2)
    stamps = folder_of(log) / "stamps"
    words: list[str | Path] = [
        "openssl",
        "ts",
        "-verify",
        "-data",
        stamps / "3.checkpoint",
        "-in",
        stamps / "3.tsr",
        "-CAfile",
        authority.folder / "ca.pem",
    ]
    subprocess.run(words, check=True, capture_output=True)


def test_a_stamp_counts_for_its_bytes_and_its_authority_only(
    log: Log, authority: Authority, other: Authority
) -> None:
    opened = log.opened()
    assert opened is not None
    stamp(log.files, opened, authority)
    pair = log.files.stamp_after(0)
    assert pair is not None
    check = checker(authority.root)
    with pytest.raises(VerificationFailed):
        check(pair[1], pair[0] + b"x")
    with pytest.raises(VerificationFailed):
        checker(other.root)(pair[1], pair[0])
    for place in range(0, len(pair[1]), 11):
        changed = pair[1][:place] + bytes([pair[1][place] ^ 1]) + pair[1][place + 1 :]
        try:
            at = check(changed, pair[0])
        except VerificationFailed:
            continue
        # What is not signed (a status text, the copy of a certificate) may differ; the time may not.
        assert at == check(pair[1], pair[0])
    for wrong in (b"", b"x" * 100, pair[1][:-1]):
        with pytest.raises(VerificationFailed):
            check(wrong, pair[0])
    for nonsense in (b"", b"x", (authority.folder / "tsa.pem").read_bytes()):
        with pytest.raises(UsageError):
            checker(nonsense)


def test_what_is_no_stamp_over_the_checkpoint_is_not_kept(log: Log, authority: Authority) -> None:
    opened = log.opened()
    assert opened is not None
    for answer in (b"", b"<html>", authority(request(b"other").as_bytes())):
        with pytest.raises(Unavailable, match="gave no stamp"):
            stamp(log.files, opened, lambda _query, answer=answer: answer)  # type: ignore[misc]
    assert log.files.stamp_after(0) is None


@pytest.fixture
def address(authority: Authority) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            data = authority(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_authority_is_asked_over_the_net_and_may_be_silent(log: Log, address: str) -> None:
    opened = log.opened()
    assert opened is not None
    with pytest.raises(Unavailable, match="does not answer"):
        stamp(log.files, opened, over_http("http://127.0.0.1:9/"))
    assert stamp(log.files, opened, over_http(address))


def stamped(files: LogFiles, one: Handed, authority: Authority) -> Step:
    given = LogEvidence(keys=(LOG_KEY,), files=files, check_stamp=checker(authority.root))
    return verify(one.envelope, keys=KEYS, leaves=one.leaves, log=given).steps[9]


def test_step_10_takes_the_first_stamp_that_covers_the_certificate(
    tmp_path: Path, authority: Authority, other: Authority
) -> None:
    files, first, second = handed(tmp_path / "log")
    opened = open_checkpoint(files.checkpoint() or b"", [LOG_KEY])
    assert stamped(files, first, authority).result is Result.NOT_CHECKED
    stamp(FolderPlace(files.folder), opened, authority)
    assert stamped(files, first, authority).result is Result.PASSED
    assert stamped(files, first, other).result is Result.FAILED
    longer = written(
        tmp_path / "log", [OTHERS[0], first.envelope, OTHERS[1], second.envelope, OTHERS[2], OTHERS[3]]
    )
    assert stamped(longer, second, authority).result is Result.PASSED
    forked = written(
        tmp_path / "log", [OTHERS[0], first.envelope, OTHERS[4], second.envelope, OTHERS[2], OTHERS[3]]
    )
    step = stamped(forked, second, authority)
    assert step.result is Result.FAILED
    assert "forked" in step.detail
