"""Witnesses cosign what continues the log they saw; what they do wrong is written down, counts for nothing and stops nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from retention.checkpoint import open_checkpoint
from retention.errors import Unavailable, VerificationFailed
from retention.note import COSIGNATURE, NoteKey
from storage import witnessing
from storage.ledger.ledger import Ledger
from storage.log import Log
from storage.witnessing import Witness, ask_all, cosign, over_http
from tests.simulator.witness import Witness as Server
from tests.simulator.witness import serving
from tests.storage.desk import LOG_KEY, NOW, SEALING_KEY, folder_of, log_at
from tests.storage.test_log import many, require_whole


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server((LOG_KEY.name, LOG_KEY.public.raw))) as made:
        yield made


@pytest.fixture
def log(sqlite_ledger: Ledger, tmp_path: Path) -> Log:
    made = log_at(tmp_path / "log", sqlite_ledger)
    many(sqlite_ledger, 3)
    made.publish()
    return made


def witness_of(server: Server) -> Witness:
    return Witness(key=NoteKey.parse(server.key), post=over_http(server.url))


@dataclass
class Desk:
    """Asks as a run does, and keeps what it is told."""

    log: Log
    troubles: list[str] = field(default_factory=list)

    def ask(self, *servers: Server) -> None:
        ask_all(
            self.log,
            tuple(map(witness_of, servers)),
            lambda key, error: self.troubles.append(f"{key.name}: {error.message}"),
        )

    def signed_by(self, *servers: Server) -> list[str]:
        opened = self.log.opened([NoteKey.parse(one.key) for one in servers])
        assert opened is not None
        return [one.key.name for one in opened.witnesses]


@pytest.fixture
def desk(log: Log) -> Desk:
    return Desk(log)


def test_a_witness_signs_the_published_checkpoint_and_everyone_can_check_it(
    desk: Desk, server: Server
) -> None:
    desk.ask(server)
    assert desk.signed_by(server) == [server.name]
    data = desk.log.files.checkpoint() or b""
    opened = open_checkpoint(data, [LOG_KEY], [NoteKey.parse(server.key)])
    (signed,) = opened.witnesses
    assert signed.at is not None
    assert abs(signed.at.timestamp() - time.time()) < 60
    require_whole(desk.log, 3)
    assert server.seen == (3, opened.root.hash)
    assert desk.troubles == []


def test_it_is_asked_again_only_when_the_log_has_grown_and_gets_the_proof(
    desk: Desk, server: Server, sqlite_ledger: Ledger
) -> None:
    for step in (0, 0, 1, 5, 250, 300):
        if step:
            many(sqlite_ledger, step)
            desk.log.publish()
            assert desk.signed_by(server) == [], "a new checkpoint has not been seen by anybody"
        asked = len(server.asked)
        desk.ask(server)
        assert desk.signed_by(server) == [server.name]
        assert len(server.asked) - asked == (0 if asked and not step else 1 if not asked else 2)
    assert desk.troubles == []
    assert not desk.log.publish(thorough=True).repaired
    assert desk.signed_by(server) == [server.name], "a repair leaves it"


def test_several_witnesses_sign_below_each_other(desk: Desk, server: Server) -> None:
    with serving(Server((LOG_KEY.name, LOG_KEY.public.raw), name="witness.example/w2")) as second:
        desk.ask(server, second)
        assert desk.signed_by(server, second) == [server.name, second.name]


def test_a_witness_that_fails_does_not_keep_another_from_signing(desk: Desk, server: Server) -> None:
    server.wrong = lambda _asked, _answer: (500, b"")
    with serving(Server((LOG_KEY.name, LOG_KEY.public.raw), name="witness.example/w2")) as second:
        desk.ask(server, second)
        assert desk.signed_by(server, second) == [second.name]
    assert desk.troubles == [f"{server.name}: it answered with status 500"]


def test_one_that_is_not_there_is_told(desk: Desk, server: Server) -> None:
    gone = Witness(key=NoteKey.parse(server.key), post=over_http("http://127.0.0.1:9/w"))
    opened = desk.log.opened()
    assert opened is not None
    with pytest.raises(Unavailable, match="does not answer"):
        cosign(desk.log, opened, gone)


def test_one_that_never_finishes_is_not_waited_for(
    desk: Desk, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnessing, "SECONDS", 0.5)

    def slow(_asked: bytes, answer: tuple[int, bytes]) -> tuple[int, bytes]:
        time.sleep(1.5)
        return answer

    server.wrong = slow
    began = time.monotonic()
    desk.ask(server)
    assert time.monotonic() - began < 1.4
    (told,) = desk.troubles
    assert told.startswith(f"{server.name}: it does not answer: ")


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda answer: b"",
    "no text": lambda answer: b"\xff\x00",
    "a page": lambda answer: b"<html>It works!</html>\n",
    "too much": lambda answer: answer * 20000,
    "twice": lambda answer: answer * 2,
    "a changed signature": lambda answer: (
        answer[:-6] + (b"A" if answer[-6:-5] != b"A" else b"B") + answer[-5:]
    ),
    "without its end": lambda answer: answer[:-1],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_cosignature_counts_for_nothing(desk: Desk, server: Server, name: str) -> None:
    before = desk.log.files.checkpoint()
    server.wrong = lambda _asked, answer: (answer[0], WRONG[name](answer[1]))
    desk.ask(server)
    assert desk.log.files.checkpoint() == before
    assert desk.troubles == [f"{server.name}: it did not sign under its key"]


def test_a_signature_over_another_checkpoint_or_by_another_witness_counts_for_nothing(
    desk: Desk, server: Server
) -> None:
    stranger = Server(server.log, name=server.name)
    text = (desk.log.files.checkpoint() or b"").decode().rpartition("\n\n")[0] + "\n"
    now = int(time.time())
    for line in (
        server.line(text.replace("\n3\n", "\n4\n"), now),
        stranger.line(text, now),
        server.line(text, 0),
    ):
        server.wrong = partial(said, line)
        desk.ask(server)
    assert desk.signed_by(server) == []
    assert len(desk.troubles) == 3


def said(line: bytes, _asked: bytes, _answer: tuple[int, bytes]) -> tuple[int, bytes]:
    return 200, line


def test_lines_of_others_in_its_answer_are_left_out(desk: Desk, server: Server) -> None:
    stranger = Server(server.log, name="stranger.example")
    text = (desk.log.files.checkpoint() or b"").decode().rpartition("\n\n")[0] + "\n"
    server.wrong = lambda _asked, answer: (answer[0], stranger.line(text, 1) + answer[1])
    desk.ask(server)
    assert desk.signed_by(server) == [server.name]
    assert b"stranger" not in (desk.log.files.checkpoint() or b"")


def test_a_log_that_was_set_back_is_told_by_the_witness(
    desk: Desk, server: Server, sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    """The whole site is restored from a backup, log and ledger together: nobody here can tell any more. The witness can."""
    many(sqlite_ledger, 4)
    desk.log.publish()
    desk.ask(server)
    back = Ledger(f"sqlite:///{tmp_path / 'back.db'}", SEALING_KEY)
    back.connection.upgrade()
    many(back, 5)
    restored = Desk(log_at(tmp_path / "restored", back))
    restored.log.publish()
    restored.ask(server)
    assert restored.troubles == [
        f"{server.name}: it has seen 7 entries of this log, which has 5: the log was set back"
    ]
    with back.connection.write(NOW) as entry:
        entry.connection.exec_driver_sql(
            "INSERT INTO log_entry SELECT position + 5, kind, 'forked', X'00', at FROM log_entry WHERE position < 4"
        )
    restored.log.publish()
    restored.ask(server)
    assert restored.troubles[1:] == [f"{server.name}: it has seen a log that this one does not continue"]
    assert restored.signed_by(server) == []
    back.close()


def test_a_fork_of_the_same_size_is_told_by_the_witness(desk: Desk, server: Server) -> None:
    opened = desk.log.opened()
    assert opened is not None
    server.seen = (3, b"\x01" * 32)
    with pytest.raises(VerificationFailed, match="does not continue"):
        cosign(desk.log, opened, witness_of(server))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b""),
        (403, b""),
        (400, b""),
        (409, b"x\n"),
        (409, b""),
        (409, b"-1\n"),
        (409, b"9" * 40),
        (301, b""),
        (0, b""),
    ],
)
def test_every_refusal_is_a_trouble_and_no_traceback(
    desk: Desk, server: Server, status: int, body: bytes
) -> None:
    server.wrong = lambda _asked, _answer: (status, body)
    desk.ask(server)
    assert len(desk.troubles) == 1
    assert desk.signed_by(server) == []


def test_a_redirect_is_not_followed(desk: Desk, server: Server) -> None:
    with serving(Server(server.log, name=server.name)) as other:
        server.wrong = lambda _asked, _answer: (307, f"{other.url}/add-checkpoint".encode())
        desk.ask(server)
        assert other.asked == []
    assert desk.troubles == [f"{server.name}: it answered with status 307"]


def test_a_signature_that_comes_late_is_not_put_below_another_checkpoint(
    desk: Desk, server: Server, sqlite_ledger: Ledger
) -> None:
    opened = desk.log.opened()
    assert opened is not None
    many(sqlite_ledger, 1)
    desk.log.publish()
    assert cosign(desk.log, opened, witness_of(server)) is False
    assert desk.signed_by(server) == []
    assert (folder_of(desk.log) / "checkpoint").read_bytes().count("\u2014".encode()) == 1


def test_nothing_but_the_checkpoint_and_hashes_is_sent(desk: Desk, server: Server) -> None:
    desk.ask(server)
    (asked,) = server.asked
    opened = desk.log.opened()
    assert opened is not None
    assert asked == b"old 0\n\n" + opened.stamped
    assert NoteKey.parse(server.key).kind == COSIGNATURE
