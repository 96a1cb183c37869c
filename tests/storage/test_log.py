"""The log's files follow from the ledger: appended, finished after a kill, repaired when torn, and never set back."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from retention.checkpoint import open_checkpoint
from retention.document import JSON
from retention.envelope import sign
from retention.errors import Unavailable, VerificationFailed
from retention.log_files import LogFolder
from retention.logged import entry_of
from retention.signing import generate
from retention.tiles import MAX_ENTRY, Hashes, Tile, all_tiles, bundles, entry_hash
from retention.tree import consistent, includes, root
from storage import log as log_module
from storage.ledger.ledger import Ledger
from storage.ledger.log_entries import EntryKind
from storage.log import Log
from storage.log_places import FolderPlace
from tests.storage.desk import LOG_KEY, NOW, SEALING_KEY, behind_its_back, folder_of, log_at, without_triggers


def entered(ledger: Ledger, count: int) -> None:
    first = ledger.log.size()
    for number in range(first, first + count):
        ledger.log.append(EntryKind.EVENTS, str(number), f"entry {number}".encode(), actor="test", at=NOW)


def many(ledger: Ledger, count: int) -> None:
    """Without a transaction for each."""
    first = ledger.log.size()
    with ledger.connection.write(NOW) as entry:
        entry.connection.execute(
            text(
                "INSERT INTO log_entry VALUES (:position, 'events', :subject, :envelope, '2025-06-02T15:00:00.000000Z')"
            ),
            [
                {"position": number, "subject": str(number), "envelope": f"entry {number}".encode()}
                for number in range(first, first + count)
            ],
        )


@pytest.fixture
def log(sqlite_ledger: Ledger, tmp_path: Path) -> Log:
    return log_at(tmp_path / "log", sqlite_ledger)


def files(log: Log) -> dict[str, bytes]:
    folder = folder_of(log)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def require_whole(log: Log, size: int) -> None:
    """Everything an outsider can see: signature, root, every tile, every entry."""
    data = log.files.checkpoint()
    assert data is not None
    opened = open_checkpoint(data, [LOG_KEY])
    assert opened.root.size == size
    entries = [entry for tile in bundles(size) for entry in log.files.entries(tile)]
    assert entries == [f"entry {number}".encode() for number in range(size)]
    assert root(map(entry_hash, entries)) == opened.root
    for tile in all_tiles(size):
        log.files.hashes(tile)


def test_entries_of_either_ledger_are_published_in_their_order(ledger: Ledger, tmp_path: Path) -> None:
    log = log_at(tmp_path / "log", ledger)
    assert log.publish().opened is None, "an empty log has no checkpoint"
    entered(ledger, 3)
    assert log.publish().appended == 3
    require_whole(log, 3)
    assert log.publish().appended == 0
    last = ledger.log.last(EntryKind.EVENTS)
    assert last is not None
    assert (last.position, last.subject) == (2, "2")
    assert ledger.log.find("1", EntryKind.EVENTS) == next(iter(ledger.log.entries(1, 2)))
    assert ledger.log.find("1", EntryKind.CERTIFICATE) is None
    assert ledger.connection.verify_chain() == 3


def test_steps_of_any_size_give_one_log(sqlite_ledger: Ledger, tmp_path: Path) -> None:
    log = log_at(tmp_path / "log", sqlite_ledger)
    checkpoints = []
    for step in (1, 1, 253, 1, 1, 255, 300):
        many(sqlite_ledger, step)
        opened = log.publish().opened
        assert opened is not None
        checkpoints.append(opened.root)
    size = sqlite_ledger.log.size()
    require_whole(log, size)
    hashes = Hashes(log.files.hashes, size)
    for old in checkpoints:
        assert consistent(old, checkpoints[-1], hashes.consistency(old.size))
    assert includes(checkpoints[-1], entry_hash(b"entry 300"), 300, hashes.inclusion(300))
    assert not (folder_of(log) / "tile" / "0" / "000.p").exists(), "a whole tile took the place of its parts"
    again = log_at(tmp_path / "again", sqlite_ledger)
    again.publish()
    require_whole(again, size)
    assert again.files.checkpoint() == log.files.checkpoint()


def test_a_large_envelope_is_entered_by_its_digest() -> None:
    signer = generate("test")
    small = b"x" * MAX_ENTRY
    assert entry_of(small) == small
    told: dict[str, JSON] = {"predicateType": "large", "subject": [], "text": "x" * MAX_ENTRY}
    large = sign(told, [signer])
    entry = json.loads(entry_of(large))
    assert (entry["size"], entry["sha256"]) == (len(large), hashlib.sha256(large).hexdigest())
    assert (entry["predicateType"], entry["subject"]) == ("large", [])
    with pytest.raises(VerificationFailed):
        entry_of(small + b"x")


class Killed(BaseException):
    pass


@pytest.fixture
def grown(sqlite_ledger: Ledger, log: Log) -> Log:
    many(sqlite_ledger, 254)
    log.publish()
    many(sqlite_ledger, 4)
    return log


def test_a_writer_killed_before_any_of_its_writes_is_finished_by_the_next(
    grown: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = FolderPlace.write
    before = grown.files.checkpoint()
    for kill_at in range(20):
        left = iter(range(kill_at))

        def write(place: FolderPlace, name: str, data: bytes, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Killed
            really(place, name, data)

        monkeypatch.setattr(FolderPlace, "write", write)
        try:
            grown.publish()
        except Killed:
            assert grown.files.checkpoint() == before, "the checkpoint comes last"
            continue
        break
    else:
        pytest.fail("it never ended")
    assert kill_at > 4
    require_whole(grown, 258)


def test_a_torn_file_is_noticed_and_made_again(sqlite_ledger: Ledger, log: Log) -> None:
    many(sqlite_ledger, 300)
    log.publish()
    whole = files(log)
    chance = random.Random(5)
    for name, data in whole.items():
        path = folder_of(log) / name
        place = chance.randrange(len(data))
        changed = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        for torn in (b"", data[: len(data) // 2], changed, None):
            if name != "checkpoint" or torn is not None:
                if torn is None:
                    path.unlink()
                else:
                    path.write_bytes(torn)
                assert log.publish(thorough=True).repaired
                assert files(log)[name] == data
                assert not log.publish(thorough=True).repaired


def test_the_end_of_the_log_is_looked_at_before_every_append(sqlite_ledger: Ledger, log: Log) -> None:
    many(sqlite_ledger, 300)
    log.publish()
    for name in ("tile/entries/001.p/44", "tile/0/001.p/44", "tile/1/000.p/1", "checkpoint"):
        (folder_of(log) / name).write_bytes(b"torn")
        assert log.publish().repaired
    require_whole(log, 300)


def test_a_lost_checkpoint_is_signed_again_only_over_what_the_files_show(
    sqlite_ledger: Ledger, log: Log, tmp_path: Path
) -> None:
    many(sqlite_ledger, 300)
    log.publish()
    before = log.files.checkpoint()
    (folder_of(log) / "checkpoint").unlink()
    assert log.publish().repaired
    assert log.files.checkpoint() == before
    shorter = Ledger(f"sqlite:///{tmp_path / 'shorter.db'}", SEALING_KEY)
    shorter.connection.upgrade()
    many(shorter, 299)
    (folder_of(log) / "checkpoint").unlink()
    with pytest.raises(VerificationFailed, match="fewer entries"):
        log_at(folder_of(log), shorter).publish()
    with shorter.connection.write(NOW) as entry:
        entry.connection.execute(
            text("INSERT INTO log_entry VALUES (299, 'events', 'x', :e, '2025-06-02T15:00:00.000000Z')"),
            {"e": b"x"},
        )
    with pytest.raises(VerificationFailed, match="disagree"):
        log_at(folder_of(log), shorter).publish()
    shorter.close()


def test_a_ledger_that_was_set_back_is_noticed_and_nothing_is_written(
    sqlite_ledger: Ledger, log: Log, tmp_path: Path
) -> None:
    many(sqlite_ledger, 10)
    log.publish()
    before = files(log)
    restored = Ledger(f"sqlite:///{tmp_path / 'restored.db'}", SEALING_KEY)
    restored.connection.upgrade()
    many(restored, 9)
    with pytest.raises(VerificationFailed, match="set back"):
        log_at(folder_of(log), restored).publish()
    assert files(log) == before
    restored.close()


def test_a_ledger_whose_entries_were_changed_is_noticed_and_nothing_is_written(
    sqlite_ledger: Ledger, sqlite_url: str, log: Log
) -> None:
    many(sqlite_ledger, 300)
    log.publish()
    before = files(log)
    with behind_its_back(sqlite_url) as connection:
        without_triggers(connection)
        connection.execute(text("UPDATE log_entry SET envelope = :e WHERE position = 290"), {"e": b"forged"})
    with pytest.raises(VerificationFailed, match="disagree"):
        log.publish()
    assert files(log) == before


def test_writers_take_turns(ledger: Ledger, tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def write(name: str) -> None:
        try:
            own = log_at(tmp_path / "log", ledger)
            for _ in range(5):
                entered_at = ledger.log.append(EntryKind.EVENTS, name, name.encode(), actor="test", at=NOW)
                assert entered_at >= 0
                own.publish()
        except BaseException as error:  # noqa: BLE001  # shown by the test, whatever it is
            errors.append(error)

    threads = [threading.Thread(target=write, args=(f"writer-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    opened = log_at(tmp_path / "log", ledger).opened()
    assert opened is not None
    assert opened.root.size == 20
    assert Hashes(LogFolder(tmp_path / "log").hashes, 20).root() == opened.root


def test_a_writer_that_does_not_finish_is_not_waited_for_for_ever(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "PATIENCE", 0.1)
    with log._alone(), pytest.raises(Unavailable, match="another run"):
        log.publish()


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(sqlite_ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("not a folder")
    entered(sqlite_ledger, 1)
    with pytest.raises(Unavailable, match="log cannot be read or written"):
        log_at(tmp_path / "log", sqlite_ledger).publish()


def test_hostile_files_are_bounded(log: Log, tmp_path: Path) -> None:
    entered(log._ledger, 1)
    log.publish()
    for name in ("checkpoint", "tile/0/000.p/1"):
        with (folder_of(log) / name).open("wb") as file:
            file.truncate(1 << 36)
    with pytest.raises(VerificationFailed, match="too large"):
        log.files.checkpoint()
    with pytest.raises(VerificationFailed, match="too large"):
        log.files.hashes(Tile(level=0, index=0, width=1))
