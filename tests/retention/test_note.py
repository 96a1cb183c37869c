"""Signed notes and checkpoints: one spelling, the log's own key, witnesses beside it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from retention import checkpoint as checkpoints
from retention import note as notes
from retention.checkpoint import Checkpoint, Proof, open_checkpoint, read_proof
from retention.errors import UsageError, VerificationFailed
from retention.note import COSIGNATURE, NoteKey, load_keys
from retention.tree import Root
from tests.retention.certificate_facts import key

LOG, OTHER, WITNESS = key("log"), key("other"), key("witness")
KEY = NoteKey(name="library.example/log", public=LOG.public)
WITNESS_KEY = NoteKey(name="witness.example/w", public=WITNESS.public, kind=COSIGNATURE)
NOTE = checkpoints.sign(Checkpoint(origin=KEY.name, root=Root(7, b"r" * 32)), KEY, LOG)
SEEN = datetime(2026, 11, 20, 12, 0, 5, tzinfo=UTC)
COSIGNED = notes.cosign(notes.read(NOTE), WITNESS_KEY, WITNESS, SEEN).encode()
PROOF = Proof(index=3, path=(b"a" * 32, b"b" * 32), note=NOTE).encode()


def mutations(data: bytes) -> list[bytes]:
    return [
        data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        for place in range(len(data))
        for bit in range(8)
    ]


def test_a_checkpoint_is_three_lines_signed_by_its_log() -> None:
    text, _, signature = NOTE.decode().partition("\n\n")
    assert text.split("\n")[:2] == ["library.example/log", "7"]
    assert signature.startswith("\u2014 library.example/log ")
    assert open_checkpoint(NOTE, [KEY]).root == Root(7, b"r" * 32)


def test_every_changed_bit_of_a_checkpoint_is_rejected() -> None:
    for changed in mutations(NOTE):
        with pytest.raises(VerificationFailed):
            open_checkpoint(changed, [KEY])


def test_every_changed_bit_of_a_cosigned_checkpoint_is_rejected_or_the_witness_is_gone() -> None:
    """A witness's line may be taken away by anybody; it can never be made to say something else."""
    assert open_checkpoint(COSIGNED, [KEY], [WITNESS_KEY]).witnesses[0].at == SEEN
    for changed in mutations(COSIGNED):
        try:
            found = open_checkpoint(changed, [KEY], [WITNESS_KEY])
        except VerificationFailed:
            continue
        assert found.witnesses == ()
        assert found.root == Root(7, b"r" * 32)


def test_the_stamped_bytes_do_not_depend_on_witnesses() -> None:
    assert open_checkpoint(COSIGNED, [KEY]).stamped == NOTE


def test_cut_short_it_is_rejected_at_every_length() -> None:
    for length in range(len(NOTE)):
        with pytest.raises(VerificationFailed):
            open_checkpoint(NOTE[:length], [KEY])


@pytest.mark.parametrize("keys", [[], [NoteKey(name=KEY.name, public=OTHER.public)], [WITNESS_KEY]])
def test_another_key_than_the_logs_own_opens_nothing(keys: list[NoteKey]) -> None:
    with pytest.raises(VerificationFailed, match="not signed by a given key"):
        open_checkpoint(COSIGNED, keys, [WITNESS_KEY])


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n\n\n", b"\xff\n\n\xe2\x80\x94 a AAAAAAA=\n", b"x" * (notes.MAX_BYTES + 1), NOTE + b"\n", NOTE + NOTE,
        NOTE.replace(b"\n7\n", b"\n07\n"), NOTE.replace(b"\n7\n", b"\n-7\n"), NOTE.replace(b"\n7\n", b"\n" + b"9" * 4000 + b"\n"),
        NOTE.replace(b"\n", b"\r\n"), NOTE + NOTE.rpartition(b"\n\n")[2], NOTE + NOTE.rpartition(b"\n\n")[2] * 40,
    ],
)  # fmt: skip
def test_foreign_and_hostile_notes_are_one_error(data: bytes) -> None:
    with pytest.raises(VerificationFailed) as caught:
        open_checkpoint(data, [KEY])
    assert "\n" not in caught.value.message


def test_a_key_of_a_log_has_one_spelling_and_its_hash() -> None:
    assert NoteKey.parse(KEY.text) == KEY
    assert load_keys(f"# keys\n{LOG.public.line}\n{KEY.line}\n{WITNESS_KEY.line}\n".encode()) == (
        KEY,
        WITNESS_KEY,
    )
    for wrong in (
        KEY.text.replace("+", "+0", 1), KEY.text + "=", "a b" + KEY.text, "+".join(KEY.text.split("+")[:2]), "", "++",
        KEY.text.replace("library", "another"),
    ):  # fmt: skip
        with pytest.raises(UsageError):
            NoteKey.parse(wrong)
    with pytest.raises(UsageError, match="another kind"):
        load_keys(f"retention-log {WITNESS_KEY.text}\n".encode())


def test_nobody_signs_under_anothers_name() -> None:
    with pytest.raises(UsageError):
        notes.sign("x\n", KEY, OTHER)
    with pytest.raises(UsageError):
        checkpoints.sign(Checkpoint(origin="other", root=Root(7, b"r" * 32)), KEY, LOG)


def test_a_proof_is_read_as_it_was_written_and_in_no_other_spelling() -> None:
    proof = read_proof(PROOF)
    assert (proof.index, proof.path, proof.note) == (3, (b"a" * 32, b"b" * 32), NOTE)
    for wrong in (
        b"", NOTE, PROOF.replace(b"index 3", b"index 03"), PROOF.replace(b"@v1", b"@v2"), PROOF.replace(b"\nindex", b"\nextra eA==\nindex"),
        PROOF.replace(b"YWFh", b"YWF", 1), b"c2sp.org/tlog-proof@v1\nindex 1\n" + b"YQ==\n" * 5 + b"\n", b"x" * 70_000,
    ):  # fmt: skip
        with pytest.raises(VerificationFailed):
            read_proof(wrong)
