"""Nothing that was changed, cut, swapped, rolled back or forked verifies; the report names the step. And nothing can be guessed."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from retention.checkpoint import open_checkpoint
from retention.errors import UsageError, VerificationFailed
from retention.leaves import leaf
from retention.log_files import LogFiles, LogFolder
from retention.note import NoteKey
from retention.opening import Opening, is_opening
from retention.opening import read as read_opening
from retention.outcomes import Outcome
from retention.signing import P256, generate, key_ring
from retention.steps import Result
from retention.tree import split
from retention.verify import Report, verify
from retention.verify_folder import verify_folder
from retention.verify_log import LogEvidence
from tests.retention.certificate_facts import key
from tests.retention.evidence_set import KEYS, LOG_KEY, OTHERS, Handed, handed, log_given, made, written

Set = tuple[LogFolder, Handed, Handed]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Set:
    return handed(tmp_path_factory.mktemp("log"))


def failed(report: Report) -> int | None:
    return next((step.number for step in report.steps if step.result is Result.FAILED), None)


def flipped(data: bytes, bit: int) -> bytes:
    place = bit // 8 % len(data)
    return data[:place] + bytes([data[place] ^ 1 << bit % 8]) + data[place + 1 :]


bits = st.integers(0, 2**20)


def checked(envelope: bytes, one: Handed, log: LogEvidence | None = None) -> Report:
    return verify(envelope, keys=KEYS, leaves=one.leaves, log=log)


def test_what_was_handed_over_verifies(everything: Set) -> None:
    files, first, second = everything
    for one in (first, second):
        for log in (log_given(files), log_given(files, one.proof), log_given(None, one.proof)):
            report = checked(one.envelope, one, log)
            assert report.ok
            assert report.steps[7].result is Result.PASSED
        assert verify(
            one.opened.envelope, keys=KEYS, leaves=None, opening=read_opening(one.opened.encode())
        ).ok
    whole = verify_folder(files, logs=[LOG_KEY], ring=KEYS, older=[files.checkpoint() or b""])
    assert whole.kinds == {"other": 3, "certificate-of-destruction": 2}
    assert whole.continues == (5,)


@given(bit=bits)
def test_a_changed_bit_of_an_envelope_is_rejected(everything: Set, bit: int) -> None:
    _, first, _ = everything
    assert failed(checked(flipped(first.envelope, bit), first)) in (1, 2, 3)


def test_a_changed_bit_of_either_signature_is_rejected(everything: Set) -> None:
    _, first, _ = everything
    start = first.envelope.index(b'"signatures"')
    chance = random.Random(3)
    for place in range(start, len(first.envelope), 2):
        assert failed(checked(flipped(first.envelope, place * 8 + chance.randrange(8)), first)) in (1, 2, 3)


@given(length=bits)
def test_a_cut_envelope_is_rejected(everything: Set, length: int) -> None:
    _, first, _ = everything
    assert failed(checked(first.envelope[: length % len(first.envelope)], first)) == 1


def test_a_signature_taken_away_is_noticed_by_whoever_has_one_key(everything: Set) -> None:
    _, first, _ = everything
    value = json.loads(first.envelope)
    for kept in value["signatures"]:
        lesser = rfc8785.dumps({**value, "signatures": [kept]})
        ring = {keyid: one for keyid, one in KEYS.items() if keyid == kept["keyid"]}
        assert failed(verify(lesser, keys=ring, leaves=None)) == 3


def test_the_other_form_of_a_signature_is_not_taken() -> None:
    """ECDSA has two valid forms; taking both would let anybody change a signed file."""
    second = generate("x", P256)
    signature = second.sign(b"m")
    r, s = decode_dss_signature(signature)
    other = encode_dss_signature(r, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 - s)
    assert second.public.verifies(signature, b"m")
    assert not second.public.verifies(other, b"m")


def test_every_changed_bit_of_a_leaves_file_is_rejected(everything: Set) -> None:
    _, first, _ = everything
    for bit in range(0, 8 * len(first.leaves), 13):
        assert failed(verify(first.envelope, keys=KEYS, leaves=flipped(first.leaves, bit))) == 6
    for length in range(0, len(first.leaves), 9):
        assert failed(verify(first.envelope, keys=KEYS, leaves=first.leaves[:length])) == 6


@given(bit=bits)
def test_a_changed_bit_of_a_proof_is_rejected(everything: Set, bit: int) -> None:
    _, first, _ = everything
    report = checked(first.envelope, first, log_given(None, flipped(first.proof, bit)))
    assert failed(report) == 8


def test_every_changed_bit_of_every_file_of_the_log_is_rejected(everything: Set, tmp_path: Path) -> None:
    files, first, _ = everything
    folder = tmp_path / "log"
    shutil.copytree(files.folder, folder)
    verify_folder(LogFolder(folder), logs=[LOG_KEY], ring=KEYS)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for bit in range(0, 8 * len(whole), max(7, len(whole) // 40 | 1)):
            path.write_bytes(flipped(whole, bit))
            with pytest.raises(VerificationFailed):
                verify_folder(LogFolder(folder), logs=[LOG_KEY], ring=KEYS)
        for length in (0, 1, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            with pytest.raises(VerificationFailed):
                verify_folder(LogFolder(folder), logs=[LOG_KEY], ring=KEYS)
            if "entries" not in path.parts:
                assert failed(checked(first.envelope, first, log_given(LogFolder(folder)))) == 8
        path.write_bytes(whole)


@given(bit=bits)
def test_a_changed_bit_of_an_opened_record_is_rejected(everything: Set, bit: int) -> None:
    _, first, _ = everything
    data = flipped(first.opened.encode(), bit)
    if not is_opening(data):
        return  # then it is verified as a certificate, which it is not
    try:
        opening = read_opening(data)
    except VerificationFailed:
        return
    assert failed(verify(opening.envelope, keys=KEYS, leaves=None, opening=opening)) in (1, 2, 3, 11)


SWAPS: dict[str, tuple[int, Callable[[LogFiles, Handed, Handed], Report]]] = {
    "leaves": (6, lambda _files, a, b: checked(a.envelope, b)),
    "proof": (8, lambda _files, a, b: checked(a.envelope, a, log_given(None, b.proof))),
    "proof beside the log": (8, lambda files, a, b: checked(a.envelope, a, log_given(files, b.proof))),
    "opened record": (
        11,
        lambda _files, a, b: verify(
            a.envelope, keys=KEYS, leaves=None, opening=replace(b.opened, envelope=a.envelope)
        ),
    ),
}


@pytest.mark.parametrize("name", SWAPS)
def test_files_of_another_certificate_are_rejected(everything: Set, name: str) -> None:
    files, first, second = everything
    number, swapped = SWAPS[name]
    assert failed(swapped(files, first, second)) == number
    assert failed(swapped(files, second, first)) == number


def test_a_payload_under_the_signatures_of_another_is_rejected(everything: Set) -> None:
    _, first, second = everything
    mixed = {**json.loads(first.envelope), "payload": json.loads(second.envelope)["payload"]}
    assert failed(checked(rfc8785.dumps(mixed), second)) == 2


def test_wrong_keys_are_rejected(everything: Set) -> None:
    files, first, _ = everything
    assert failed(verify(first.envelope, keys=key_ring(key("x").public), leaves=None)) == 2
    stranger = NoteKey(name=LOG_KEY.name, public=key("x").public)
    report = checked(first.envelope, first, LogEvidence(keys=(stranger,), files=files))
    assert failed(report) == 8
    with pytest.raises(UsageError, match="no key of the log"):
        checked(first.envelope, first, LogEvidence(keys=(), files=files))
    with pytest.raises(UsageError, match="needs the log"):
        checked(first.envelope, first, LogEvidence(keys=(LOG_KEY,), older=(b"x",)))


def test_a_log_that_was_rolled_back_or_forked_is_rejected(everything: Set, tmp_path: Path) -> None:
    files, first, second = everything
    old = files.checkpoint() or b""
    rolled = written(tmp_path / "rolled", [OTHERS[0], first.envelope, OTHERS[1]])
    report = checked(first.envelope, first, log_given(rolled, None, old))
    assert failed(report) == 9
    assert "rolled back" in report.verdict
    forked = written(
        tmp_path / "forked", [OTHERS[0], first.envelope, OTHERS[5], second.envelope, OTHERS[2], OTHERS[3]]
    )
    report = checked(first.envelope, first, log_given(forked, None, old))
    assert failed(report) == 9
    assert "forked" in report.verdict
    same = written(tmp_path / "same", [OTHERS[0], first.envelope, OTHERS[5], second.envelope, OTHERS[2]])
    assert failed(checked(first.envelope, first, log_given(same, None, old))) == 9
    removed = written(
        tmp_path / "removed", [OTHERS[0], OTHERS[1], second.envelope, OTHERS[2], OTHERS[3], OTHERS[4]]
    )
    assert failed(checked(first.envelope, first, log_given(removed, None, old))) == 8
    grown = written(
        tmp_path / "grown",
        [OTHERS[0], first.envelope, OTHERS[1], second.envelope, OTHERS[2], OTHERS[3], OTHERS[4]],
    )
    report = checked(first.envelope, first, log_given(grown, None, old))
    assert report.ok
    assert report.steps[8].result is Result.PASSED


CARDS = [str(29_000_000 + number) for number in range(50_000)]
"""All card numbers of a library."""


def guesses(one: Handed, salt_texts: list[str]) -> set[bytes]:
    """What an attacker can compute for every card from what is public: plain hashes, and leaves with every salt in sight."""
    found: set[bytes] = set()
    for card in CARDS:
        reference = f"evergreen/circulations/{card}"
        for text in (card, reference):
            found.add(sha256(text.encode()).digest())
            found.add(sha256(b"\x00" + text.encode()).digest())
        for salt, outcome in itertools.product(salt_texts, ("destroyed",)):
            found.add(sha256(f'\x00["{salt}","{reference}",null,"{outcome}"]'.encode()).digest())
    return found


def test_a_dictionary_of_all_cards_learns_nothing(everything: Set) -> None:
    """With every file that is handed over, the opened record of another certificate among them."""
    files, first, second = everything
    seen = [
        first.envelope,
        first.leaves,
        first.proof,
        second.envelope,
        second.leaves,
        second.proof,
        second.opened.encode(),
    ]
    seen += [path.read_bytes() for path in files.folder.rglob("*") if path.is_file()]
    text = b"\n".join(seen[:6] + seen[7:])
    assert not any(card.encode() in text for card in CARDS)
    in_sight = ["", "0" * 32, second.opened.salt.hex(), first.leaves[:16].hex()]
    assert not guesses(first, in_sight) & set(split(first.leaves))
    assert guesses(second, [second.opened.salt.hex()]) & set(split(second.leaves)) == {second.opened.leaf}, (
        "it would be seen"
    )


def test_opening_one_leaf_reveals_only_that_leaf(everything: Set) -> None:
    """With its salt, all cards and all outcomes, no other leaf of the certificate can be told."""
    _, first, _ = everything
    opened = first.opened
    told = {
        leaf(opened.salt, f"evergreen/circulations/{card}", outcome)
        for card in CARDS[:2000]
        for outcome in Outcome
    }
    assert told & set(split(first.leaves)) == {opened.leaf}
    assert set(opened.path) & told == set()
    data = opened.encode()
    assert [card for card in CARDS if card.encode() in data] == [opened.record.rpartition("/")[2]]


def test_without_the_key_two_libraries_with_the_same_records_cannot_be_told_apart() -> None:
    cards = CARDS[:8]
    one, other = made(b"\x07" * 32, "C-7", cards)[1], made(b"\x08" * 32, "C-8", cards)[1]
    assert not set(split(one)) & set(split(other))


HOSTILE = [
    b"", b"\x00" * 64, b"[" * 200_000, b'{"a":' * 50_000, b'{"payload":"' + b"A" * 20_000_000, b"\xff" * 1000,
    b'{"certificate":' + b"[" * 40 + b"]" * 40 + b',"type":"https://retention.example/opened-record/v1"}',
    b'{"certificate":{},"type":"https://retention.example/opened-record/v1"}',
]  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bytes_are_one_failure_everywhere(everything: Set, data: bytes, tmp_path: Path) -> None:
    _, first, _ = everything
    assert failed(checked(data, first)) == 1
    assert failed(checked(first.envelope, first, log_given(None, data))) == 8
    with pytest.raises(VerificationFailed):
        read_opening(data)
    with pytest.raises(VerificationFailed):
        open_checkpoint(data, [LOG_KEY])
    (tmp_path / "checkpoint").write_bytes(data)
    assert failed(checked(first.envelope, first, log_given(LogFolder(tmp_path)))) == 8
    assert failed(checked(first.envelope, first, log_given(LogFolder(tmp_path / "none")))) == 8


def test_an_opened_record_says_what_it_proves_and_not_whose(everything: Set) -> None:
    _, first, _ = everything
    assert first.opened.sentence == "the record named in the file: destroyed"
    withheld = replace(first.opened, outcome=Outcome.WITHHELD)
    assert "retained, not eligible" in withheld.sentence
    assert isinstance(withheld, Opening)
