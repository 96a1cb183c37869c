"""Somebody has everything that is published, and a list of all records that the library might have had: they learn nothing."""

from __future__ import annotations

import itertools
import json
import sqlite3
from base64 import b64decode
from hashlib import sha256
from hmac import digest as hmac_digest
from pathlib import Path
from typing import Any

import pytest

from tests.console.library import Library

KEYS = range(1, 400)
"""Every key that a loan of this library can have."""
CASE = "past-checkouts"


@pytest.fixture
def published(library: Library) -> list[Path]:
    """Certificate, leaves, log, keys: of a case with a single record, which is the easiest to guess."""
    with sqlite3.connect(library.ils) as ils:
        ils.execute("DELETE FROM loan WHERE id <> 2")
    ils.close()
    library.amend("limits = { percent = 90 }", "limits = { records = 10 }")
    library.done("run", "--execute", "--record-type", CASE)
    (found,) = library.done("certificate", "list", "--json").json["certificates"]
    return sorted(path for path in Path(found["path"]).parent.rglob("*") if path.is_file())


def predicate_of(published: list[Path]) -> dict[str, Any]:
    (envelope,) = [path for path in published if path.name.endswith(".dsse.json")]
    statement = json.loads(b64decode(json.loads(envelope.read_bytes())["payload"]))
    found: dict[str, Any] = statement["predicate"]
    return found


def manifest(told: dict[str, Any], part: str) -> str:
    """The digest of a manifest of one record, as anybody can put it together from the certificate and a part's digest."""
    what, authority = told["what"], told["authority"]
    (place,) = what["locations"]
    lines = [authority["scheduleDigest"], authority["recordType"], authority["on"]]
    lines.append(f"0 {place['store']} {place['location']} {what['items']} {part}")
    return sha256("\n".join(lines).encode()).hexdigest()


def guesses(told: dict[str, Any], key: int) -> list[bytes]:
    """What can be computed for a record from what is public."""
    reference = f"ils/loans/{key}"
    line = f"{key}\n".encode()
    empty = hmac_digest(hmac_digest(b"", b"manifest", "sha256"), line, "sha256").hex()
    found = [bytes.fromhex(manifest(told, part)) for part in (sha256(line).hexdigest(), empty)]
    for text, before in itertools.product((str(key), reference, line.decode()), (b"", b"\x00")):
        found.append(sha256(before + text.encode()).digest())
    for salt in ("", "0" * 32, told["what"]["manifestDigest"][:32], told["evidence"]["root"][:32]):
        found.append(sha256(f'\x00["{salt}","{reference}",null,"destroyed"]'.encode()).digest())
    return found


def test_a_dictionary_of_all_records_learns_nothing_from_all_that_is_published(
    library: Library, published: list[Path]
) -> None:
    told = predicate_of(published)
    assert told["what"]["items"] == 1
    seen = b"".join(path.read_bytes() for path in published)
    seen += b"".join(b64decode(json.loads(part)["payload"]) for part in envelopes(published))
    for key in KEYS:
        for guess in guesses(told, key):
            assert guess not in seen, key
            assert guess.hex().encode() not in seen, key
    (spooled,) = (library.root / "state" / "cases").glob("*/evidence.key")
    secret = hmac_digest(spooled.read_bytes(), b"manifest", "sha256")
    with_key = {manifest(told, hmac_digest(secret, f"{key}\n".encode(), "sha256").hex()) for key in KEYS}
    assert told["what"]["manifestDigest"] in with_key, "with the key of the case it would be seen"


def envelopes(published: list[Path]) -> list[bytes]:
    """The certificate, and every entry of the log."""
    found = [path.read_bytes() for path in published if path.name.endswith(".dsse.json")]
    for path in published:
        if "entries" in path.parts:
            data = path.read_bytes()
            while data:
                length = int.from_bytes(data[:2], "big")
                found.append(data[2 : 2 + length])
                data = data[2 + length :]
    return found
