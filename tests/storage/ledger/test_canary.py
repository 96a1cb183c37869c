"""What a hold is about stands in no byte of the ledger's files. The scan is shown to find what is there."""

from __future__ import annotations

from pathlib import Path

from storage.ledger.ledger import Ledger
from tests.storage.desk import BADGE, OFFICER, SEALING_KEY, SUBJECT, filled


def whole(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("ledger.db*")))


def test_a_hold_is_sealed_in_every_byte_of_the_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}", SEALING_KEY)
    ledger.connection.upgrade()
    filled(ledger)
    content = whole(folder)
    assert (folder / "ledger.db-wal").stat().st_size > 0
    for found in (b"hold.placing", b"case.started", b"director", b"batch.read-back"):
        assert found in content
    for kept in (SUBJECT, OFFICER, BADGE, "2025-17", "District Court"):
        for spelling in (kept.encode(), kept.encode("utf-16-le"), kept.encode().hex().encode()):
            assert spelling not in content
    ledger.close()
    closed = whole(folder)
    assert b"hold.placing" in closed
    assert SUBJECT.encode() not in closed
    assert OFFICER.encode() not in closed


def test_two_equal_holds_do_not_look_alike(sqlite_ledger: Ledger) -> None:
    sealer = sqlite_ledger.holds._sealer
    assert sealer.seal(b"the same", "H1") != sealer.seal(b"the same", "H1")


def test_a_hold_that_is_printed_shows_neither_patron_nor_officer(sqlite_ledger: Ledger) -> None:
    filled(sqlite_ledger)
    shown = repr(sqlite_ledger.holds.get("H1")) + repr(sqlite_ledger.holds.in_force())
    assert "H1" in shown
    assert SUBJECT not in shown
    assert OFFICER not in shown
