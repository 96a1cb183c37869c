"""Opened before, closed after: what an auditor sees of cases in the files of a log, without the library."""

from __future__ import annotations

from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from retention import envelope
from retention.certificate import statement
from retention.document import JSON, encode
from retention.errors import VerificationFailed
from retention.logged import CaseStarted, Ended, NothingDestroyed, entry_of
from retention.tiles import MAX_ENTRY
from retention.verify_folder import Whole, verify_folder
from tests.retention.certificate_facts import COUNSEL, DIRECTOR, approved, certificate
from tests.retention.evidence_set import KEYS, LOG_KEY, OTHERS, SIGNERS, written

NOW = datetime(2025, 6, 2, 15, 0, tzinfo=UTC)


def began(case: str) -> bytes:
    said = CaseStarted(
        case=case, record_type="loans", schedule_digest="5c" * 32, manifest_digest="d1" * 32, on=date(2025, 6, 2), started=NOW
    )  # fmt: skip
    return envelope.sign(said.statement(), SIGNERS)


def nothing(case: str, ended: Ended = Ended.CLOSED, **counts: int) -> NothingDestroyed:
    told = (
        dict.fromkeys(("already_absent", "withheld", "not_destroyed", "unknown", "not_reached"), 0) | counts
    )
    return NothingDestroyed(
        case=case, record_type="loans", schedule_digest="5c" * 32, manifest_digest="d1" * 32, on=date(2025, 6, 2), ended=ended,
        closed=NOW, items=3, **told,
    )  # fmt: skip


def without(case: str) -> bytes:
    return envelope.sign(nothing(case, withheld=3).statement(), SIGNERS)


def certified(case: str, number: int = 1, **more: Any) -> bytes:
    approvals = approved(DIRECTOR, "Mei Lind", case=case), approved(COUNSEL, "Jo Reyes", case=case)
    whole = certificate(
        identity__id=f"{case}-{number}", identity__case=case, people__approvals=approvals, **more
    )
    return envelope.sign(statement(whole), SIGNERS)


def verified(folder: Path, *entries: bytes) -> Whole:
    return verify_folder(written(folder, list(entries)), logs=[LOG_KEY], ring=KEYS)


def test_a_case_that_began_and_did_not_end_is_shown(tmp_path: Path) -> None:
    whole = verified(
        tmp_path,
        OTHERS[0],
        began("C-1"),
        began("C-2"),
        certified("C-1"),
        began("C-3"),
        OTHERS[1],
        without("C-3"),
    )
    assert [(one.position, one.case, one.record_type, one.started) for one in whole.begun] == [
        (2, "C-2", "loans", NOW)
    ]


def test_a_later_state_of_a_certificate_is_no_second_end(tmp_path: Path) -> None:
    assert verified(tmp_path, began("C-1"), certified("C-1"), certified("C-1", 2)).begun == ()


def test_an_end_without_a_beginning_is_rejected_once_the_log_has_beginnings(tmp_path: Path) -> None:
    old = verified(tmp_path / "old", certified("C-1"), without("C-2"))
    assert old.begun == (), "a log of an earlier version"
    assert verified(tmp_path / "grown", certified("C-1"), began("C-3"), certified("C-1", 2)).begun != ()
    for end in (certified("C-4"), without("C-4")):
        with pytest.raises(VerificationFailed, match="nothing says that it began"):
            verified(tmp_path / "late", began("C-3"), end)


@pytest.mark.parametrize("between", [None, certified("C-1"), without("C-1")])
def test_a_case_begins_once(tmp_path: Path, between: bytes | None) -> None:
    entries = [began("C-1"), *([between] if between else []), began("C-1")]
    with pytest.raises(VerificationFailed, match="began before"):
        verified(tmp_path, *entries)


def test_an_end_under_strange_keys_is_no_end(tmp_path: Path) -> None:
    lesser = {keyid: one for keyid, one in KEYS.items() if keyid == SIGNERS[0].keyid}
    stranger = envelope.sign(nothing("C-1", withheld=3).statement(), SIGNERS[1:])
    files = written(tmp_path, [envelope.sign(OTHER, SIGNERS[:1]), stranger])
    with pytest.raises(VerificationFailed, match="entry 1"):
        verify_folder(files, logs=[LOG_KEY], ring=lesser)


OTHER: dict[str, JSON] = {"predicateType": "other", "subject": [{"name": "x", "digest": {}}]}


def test_a_certificate_entered_by_its_digest_ends_its_case(tmp_path: Path) -> None:
    large = certified("C-1", residual__third_parties=tuple(f"agency {number}" for number in range(6000)))
    assert len(large) > MAX_ENTRY
    entry = entry_of(large)
    assert len(entry) < 1000
    assert sha256(large).hexdigest().encode() in entry
    whole = verified(tmp_path, began("C-1"), began("C-2"), entry)
    assert [one.case for one in whole.begun] == ["C-2"]


@pytest.mark.parametrize("subject", [[], [{"name": 3}], [{"name": "a"}, {"name": "b"}], "C-1"])
def test_an_end_that_does_not_name_one_case_is_rejected(tmp_path: Path, subject: Any) -> None:
    told = {**nothing("C-1", withheld=3).statement(), "subject": subject}
    with pytest.raises(VerificationFailed, match="entry 1 of the log does not name its case"):
        verified(tmp_path, began("C-1"), envelope.sign(told, SIGNERS))


def test_a_beginning_that_lacks_a_field_is_rejected(tmp_path: Path) -> None:
    told = CaseStarted(
        case="C-1", record_type="loans", schedule_digest="", manifest_digest="", on=NOW.date(), started=NOW
    ).statement()
    predicate = told["predicate"]
    assert isinstance(predicate, dict)
    del predicate["started"]
    with pytest.raises(VerificationFailed, match="started is missing"):
        verified(tmp_path, envelope.sign(told, SIGNERS))


def test_a_beginning_counts_nothing(tmp_path: Path) -> None:
    """Beside the counts of the end it would tell how many records came to be withheld in between."""
    data = encode(envelope.read(began("C-1")).statement())
    assert not any(name in data for name in (b"items", b"withheld", b"counts", b"hold"))


@pytest.mark.parametrize(
    ("ended", "counts"),
    [(Ended.CLOSED, {"withheld": 2}), (Ended.CLOSED, {"withheld": 2, "not_reached": 1}), (Ended.FAILED, {"not_destroyed": 1}), (Ended.FAILED, {"not_reached": 4})],
)  # fmt: skip
def test_outcomes_that_do_not_add_up_are_not_signed(ended: Ended, counts: dict[str, int]) -> None:
    with pytest.raises(VerificationFailed, match="do not add up"):
        nothing("C-1", ended, **counts).statement()
