from __future__ import annotations

import base64
import json
import subprocess
import time
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from retention import envelope, signing
from retention.document import JSON, encode, parse
from retention.envelope import PAYLOAD_TYPE, pae
from retention.errors import UsageError, VerificationFailed
from tests.retention.certificate_facts import COUNSEL, DIRECTOR, KEYS, LIBRARY

SMALL = envelope.sign({"a": 1}, [LIBRARY])


def rejected(data: bytes) -> bool:
    try:
        envelope.read(data).check(KEYS)
    except VerificationFailed as error:
        return "\n" not in error.message
    return False


def repacked(**changes: JSON) -> bytes:
    return rfc8785.dumps({**json.loads(SMALL), **changes})


def test_the_pre_authentication_encoding_is_that_of_the_specification() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_envelope_gives_back_what_was_signed() -> None:
    opened = envelope.read(SMALL)
    assert opened.check(KEYS) == (LIBRARY.keyid,)
    assert opened.statement() == {"a": 1}
    assert opened.encode() == SMALL


def test_every_changed_bit_is_rejected() -> None:
    for position in range(len(SMALL) * 8):
        changed = bytearray(SMALL)
        changed[position // 8] ^= 1 << position % 8
        assert rejected(bytes(changed)), f"bit {position}"


def test_every_truncation_and_every_addition_is_rejected() -> None:
    assert all(rejected(SMALL[:length]) for length in range(len(SMALL)))
    assert all(rejected(SMALL + more) for more in (b"\n", b" ", b"\0", b"{}", SMALL))
    assert rejected(b"\xef\xbb\xbf" + SMALL)


def test_a_payload_or_signature_of_another_envelope_is_rejected() -> None:
    other = json.loads(envelope.sign({"a": 2}, [LIBRARY]))
    assert rejected(repacked(payload=other["payload"]))
    assert rejected(repacked(signatures=other["signatures"]))
    assert rejected(repacked(payloadType="application/json"))


def test_a_signature_by_an_unknown_key_counts_for_nothing() -> None:
    foreign = envelope.sign({"a": 1}, [DIRECTOR])
    with pytest.raises(VerificationFailed, match="no signature by a given key"):
        envelope.read(foreign).check(KEYS)
    both = envelope.countersign(foreign, [LIBRARY])
    assert envelope.read(both).check(KEYS) == (LIBRARY.keyid,)
    ring = signing.key_ring(LIBRARY.public, DIRECTOR.public, COUNSEL.public)
    assert envelope.read(both).check(ring) == (DIRECTOR.keyid, LIBRARY.keyid)


def test_a_bad_signature_by_a_given_key_fails_beside_a_good_one() -> None:
    value = json.loads(envelope.sign({"a": 1}, [LIBRARY, DIRECTOR]))
    value["signatures"][1]["sig"] = value["signatures"][0]["sig"]
    opened = envelope.read(rfc8785.dumps(value))
    assert opened.check(KEYS) == (LIBRARY.keyid,)
    with pytest.raises(VerificationFailed, match="not valid"):
        opened.check(signing.key_ring(LIBRARY.public, DIRECTOR.public))


def test_no_key_is_an_error_and_a_key_filed_under_a_wrong_id_does_not_help() -> None:
    with pytest.raises(UsageError, match="no key given"):
        envelope.read(SMALL).check({})
    with pytest.raises(VerificationFailed):
        envelope.read(SMALL).check({LIBRARY.keyid: DIRECTOR.public})


def test_an_envelope_without_signer_or_with_one_twice_is_not_made() -> None:
    with pytest.raises(UsageError):
        envelope.sign({"a": 1}, [])
    with pytest.raises(UsageError):
        envelope.countersign(SMALL, [LIBRARY])


GOOD = json.loads(SMALL)["signatures"][0]
HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "text": b'"x"',
    "not UTF-8": b"\xff\xfe{}",
    "UTF-16": SMALL.decode().encode("utf-16"),
    "duplicate name": SMALL.replace(b'{"payload"', b'{"payload":"","payload"'),
    "deep nesting": b"[" * 100_000,
    "deep but closed": b"[" * 40 + b"]" * 40,
    "many parts": b"[" + b"0," * 3_000_000 + b"0]",
    "many strings": b'"' * 8_000_000,
    "many brackets that close": b"[]" * 4_000_000,
    "20 MB": SMALL[:-1] + b" " * 20_000_000 + b"}",
    "20 MB payload": repacked(payload="A" * 20_000_000),
    "long number": b'{"a":' + b"9" * 1_000_000 + b"}",
    "fraction": b'{"a":1.5}',
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":1e999}',
    "lone surrogate": b'{"a":"\\ud800"}',
    "lone surrogate in a name": b'{"\\ud800":1}',
    "backslashes without end": b'{"' + b"\\" * 1_000_000,
    "escaped quotes without end": b'{"' + b'\\"' * 399_000,
    "escapes without end": b'{"' + b"\\n" * 7_000_000,
    "extra member": repacked(more=1),
    "no signatures": repacked(signatures=[]),
    "signatures no list": repacked(signatures={}),
    "too many signatures": repacked(signatures=[{**GOOD, "keyid": str(i)} for i in range(17)]),
    "a key twice": repacked(signatures=[GOOD, GOOD]),
    "signature no object": repacked(signatures=[1]),
    "signature with more": repacked(signatures=[{**GOOD, "cert": ""}]),
    "key id no text": repacked(signatures=[{**GOOD, "keyid": 1}]),
    "sig no text": repacked(signatures=[{**GOOD, "sig": 1}]),
    "sig too short": repacked(signatures=[{**GOOD, "sig": "AAAA"}]),
    "bad base64": repacked(payload="e30"),
    "URL-safe base64": repacked(payload="_-__"),
    "base64 with line ends": repacked(payload="e30=\n"),
    "base64 with spare bits": repacked(payload="e31="),
    "base64 no ASCII": repacked(payload="é"),
    "payload no text": repacked(payload={}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_one_line_and_soon(name: str) -> None:
    started = time.monotonic()
    assert rejected(HOSTILE[name])
    assert time.monotonic() - started < 5


@given(st.binary(max_size=200))
def test_any_bytes_are_rejected_or_canonical(data: bytes) -> None:
    try:
        value = parse(data, "this")
    except VerificationFailed:
        return
    assert encode(value) == data


def test_a_payload_that_is_not_canonical_is_refused_though_it_is_signed() -> None:
    for payload in (b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":1,"a":1}', b"[]", b'{"a":1.0}', b""):
        signature = envelope.Signature(keyid=LIBRARY.keyid, sig=LIBRARY.sign(pae(PAYLOAD_TYPE, payload)))
        opened = envelope.read(envelope.Envelope(payload=payload, signatures=(signature,)).encode())
        opened.check(KEYS)
        with pytest.raises(VerificationFailed):
            opened.statement()


def test_openssl_agrees_on_the_signature(tmp_path: Path) -> None:
    value = json.loads(SMALL)
    payload = base64.b64decode(value["payload"])
    (tmp_path / "signed").write_bytes(
        b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    )
    (tmp_path / "sig").write_bytes(base64.b64decode(value["signatures"][0]["sig"]))
    (tmp_path / "key.pem").write_bytes(LIBRARY.public.pem)
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-rawin",
        "-pubin",
        "-inkey",
        "key.pem",
        "-in",
        "signed",
        "-sigfile",
        "sig",
    ]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "signed").write_bytes((tmp_path / "signed").read_bytes() + b" ")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0
