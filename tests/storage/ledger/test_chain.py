"""The chain of events: whole with many writers and after a crash; broken by whatever is changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from retention.errors import VerificationFailed
from storage.ledger.connection import GENESIS, chain_hash, stamp, unstamp
from storage.ledger.ledger import Ledger
from tests.storage.desk import NOW, SEALING_KEY, behind_its_back, without_triggers

COLUMNS = "at, kind, actor, subject, body, previous, hash"


def noted(ledger: Ledger, count: int) -> None:
    for number in range(count):
        ledger.note("test.noted", actor="test", subject="chain", body={"number": number}, at=NOW)


def test_an_untouched_chain_is_whole(ledger: Ledger) -> None:
    assert ledger.connection.verify_chain() == 0
    noted(ledger, 5)
    assert ledger.connection.verify_chain() == 5
    assert next(event.body for event in ledger.events(subject="chain")) == '{"number":4}'


def swap(connection: Connection) -> None:
    for statement in (
        "UPDATE event SET seq = 100 WHERE seq = 2",
        "UPDATE event SET seq = 2 WHERE seq = 3",
        "UPDATE event SET seq = 3 WHERE seq = 100",
    ):
        connection.execute(text(statement))


def squeeze_in(connection: Connection) -> None:
    connection.execute(text("UPDATE event SET seq = -seq WHERE seq >= 3"))
    connection.execute(
        text(f"INSERT INTO event (seq, {COLUMNS}) SELECT 3, {COLUMNS} FROM event WHERE seq = 2")
    )
    connection.execute(text("UPDATE event SET seq = 1 - seq WHERE seq < 0"))


def append_unchained(connection: Connection) -> None:
    connection.execute(
        text(f"INSERT INTO event (seq, {COLUMNS}) SELECT 6, {COLUMNS} FROM event WHERE seq = 5")
    )


def rewrite_one(connection: Connection) -> None:
    """Its own hash put right: the next one gives it away."""
    row = connection.execute(text("SELECT * FROM event WHERE seq = 2")).one()
    forged = {
        "seq": 2,
        "at": row.at,
        "kind": row.kind,
        "actor": "mallory",
        "subject": row.subject,
        "body": row.body,
    }
    connection.execute(
        text("UPDATE event SET actor = 'mallory', hash = :hash WHERE seq = 2"),
        {"hash": chain_hash(row.previous, forged)},
    )


def run(statement: str) -> Callable[[Connection], None]:
    def change(connection: Connection) -> None:
        connection.execute(text(statement))

    return change


CHANGES: dict[str, tuple[Callable[[Connection], None], int]] = {
    "another time": (run("UPDATE event SET at = '2031-01-01T00:00:00.000000Z' WHERE seq = 3"), 3),
    "another kind": (run("UPDATE event SET kind = 'x' WHERE seq = 3"), 3),
    "another actor": (run("UPDATE event SET actor = 'x' WHERE seq = 3"), 3),
    "another subject": (run("UPDATE event SET subject = 'x' WHERE seq = 3"), 3),
    "another body": (run("UPDATE event SET body = '{}' WHERE seq = 3"), 3),
    "another hash": (run("UPDATE event SET hash = previous WHERE seq = 5"), 5),
    "the first removed": (run("DELETE FROM event WHERE seq = 1"), 1),
    "one in the middle removed": (run("DELETE FROM event WHERE seq = 3"), 3),
    "two exchanged": (swap, 2),
    "one squeezed in": (squeeze_in, 3),
    "one appended behind the product's back": (append_unchained, 6),
    "one rewritten with its hash": (rewrite_one, 3),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_chain_is_found_at_its_first_broken_event(
    ledger: Ledger, ledger_url: str, what: str
) -> None:
    noted(ledger, 5)
    change, broken = CHANGES[what]
    with behind_its_back(ledger_url) as connection:
        without_triggers(connection)
        change(connection)
    with pytest.raises(VerificationFailed, match=f"breaks at event {broken}$"):
        ledger.connection.verify_chain()


def test_the_chain_begins_at_nothing(ledger: Ledger, ledger_url: str) -> None:
    noted(ledger, 1)
    with behind_its_back(ledger_url) as connection:
        assert connection.execute(text("SELECT previous FROM event")).scalar() == GENESIS


def test_writers_in_many_threads_keep_the_chain_whole(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(noted, ledger, 10) for _ in range(8)]:
            future.result()
    assert ledger.connection.verify_chain() == 80


WRITER = """
import sys
from storage.ledger.ledger import Ledger
from tests.storage.desk import NOW
ledger = Ledger(sys.argv[1], bytes.fromhex(sys.argv[2]))
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    with ledger.connection.write(NOW) as entry:
        entry.record("test.noted", actor="test", subject="chain", body={"number": number})
        if len(sys.argv) > 4:
            import time; time.sleep(0.02)
        entry.record("test.noted", actor="test", subject="chain", body={"number": number, "again": True})
"""


def writer(url: str, count: int, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url, SEALING_KEY.hex(), str(count), *more],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def test_writers_in_several_processes_keep_the_chain_whole(ledger: Ledger, ledger_url: str) -> None:
    running = [writer(ledger_url, 15) for _ in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    for process in running:
        process.communicate()
    assert ledger.connection.verify_chain() == 90


def test_a_writer_killed_in_the_middle_leaves_the_chain_whole(ledger: Ledger, ledger_url: str) -> None:
    for round_ in range(3):
        process = writer(ledger_url, 10_000, "slowly")
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1 + 0.013 * round_)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        noted(
            ledger, 2
        )  # waits for the writers' lock: whatever the dead one had sent to a server is done or undone by then
        length = ledger.connection.verify_chain()
        assert length % 2 == 0, "half of a write is there"
        noted(ledger, 2)
        assert ledger.connection.verify_chain() == length + 2


@pytest.mark.postgresql
@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_a_server_with_another_isolation_changes_nothing(postgresql_url: str, isolation: str) -> None:
    """With the snapshot taken before the lock is granted, every second writer would read an old end of the chain."""
    with behind_its_back(postgresql_url) as connection:
        name = connection.execute(text("SELECT current_database()")).scalar()
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'"))
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    ledger = Ledger(postgresql_url, SEALING_KEY)
    ledger.connection.upgrade()
    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(noted, ledger, 10) for _ in range(6)]:
            future.result()
    assert ledger.connection.verify_chain() == 60
    with ledger.connection.write(NOW) as entry:
        assert entry.connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    ledger.close()


def test_times_sort_as_text() -> None:
    assert unstamp(stamp(NOW)) == NOW
    with pytest.raises(ValueError, match="aware"):
        stamp(NOW.replace(tzinfo=None))
