"""How long a page of the console takes with a ledger that has grown: 10,000 cases, 1,000 holds, a million events.

Ours is each page as a browser asks for it: one request after the other over loopback, signed in, answered by a server in a process
of its own from a ledger on SQLite. The peer is the style sheet from the same server, asked for in turn: what a request costs before
any page is made. Run as ``python -m bench.console FOLDER``, it is that server.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import httpx
import uvicorn
from sqlalchemy import insert

from bench.report import Findings, Goal
from bench.sizes import Scale
from console.web.app import make_app
from console.web.desk import open_desk
from retention.holds import HoldState, Scope
from retention.loader import load
from retention.log_files import LogFolder
from retention.permissions import Role
from retention.records import Personal
from storage.dispositions import Dispositions
from storage.ledger import tables
from storage.ledger.connection import GENESIS, stamp
from storage.ledger.holds import HoldFile
from storage.ledger.ledger import Ledger
from storage.signatures import Signatory
from tests.console.library import POLICIES
from tests.storage.desk import MATTER, SEALING_KEY, act, person

SIZES = {"full": (10_000, 1_000, 1_000_000), "small": (1_000, 100, 20_000), "tiny": (60, 20, 500)}
"""Cases, holds, events."""
REQUESTS = {"full": 100, "small": 20, "tiny": 3}
OPEN = 40
"""Cases that wait, each approved by the first of two people."""
ON = date(2026, 1, 2)
LIMIT_MS = 100.0
PEER = "/static/console.css"
PAGES = {
    "queue": "/", "cases": "/cases", "a case": "/cases/C-00000005", "holds": "/holds", "a hold": "/holds/H-00000001",
    "placing a hold": "/holds/new", "certificates": "/certificates", "events": "/events", "schedule": "/schedule",
    "forecast": "/forecast", "cannot decide": "/undecided", "account": "/account",
}  # fmt: skip


def measure(scale: Scale) -> Findings:
    cases, holds, events = scale.of(SIZES)
    found = Findings(
        bench="console", title=f"Pages over {cases:,} cases, {holds:,} holds and {events:,} events: the slowest of twenty (p95)",
        sizes={"cases": cases, "holds": holds, "events": events, "requests": scale.of(REQUESTS)},
    )  # fmt: skip
    token = fill(scale.folder, cases, holds, events)
    goal = Goal(value=LIMIT_MS, at_least=False, of_ours=True)
    with served(scale.folder) as origin, httpx.Client(base_url=origin, timeout=60) as client:
        # Browsers send a secure cookie to localhost; httpx does not.
        client.headers["Cookie"] = f"__Host-retention={token}"
        began = time.perf_counter()
        client.get(PAGES["holds"]).raise_for_status()
        first = (time.perf_counter() - began) * 1000
        found.notes.append(
            f"the first look at the holds after the server has started opens them all: {first:,.0f} ms"
        )
        for name, path in PAGES.items():
            page = found.measure(f"{name} {path}", "ms", "the style sheet", goal=goal)
            for _ in range(scale.pairs):
                page.add(*in_turn(client, path, scale.of(REQUESTS)))
    return found


def in_turn(client: httpx.Client, path: str, requests: int) -> tuple[float, float]:
    """p95 in milliseconds of a page, and of the style sheet."""
    spent: dict[str, list[float]] = {path: [], PEER: []}
    for _ in range(requests):
        for asked, times in spent.items():
            began = time.perf_counter()
            answer = client.get(asked)
            times.append((time.perf_counter() - began) * 1000)
            if answer.status_code != 200:
                raise RuntimeError(f"{asked} was answered with {answer.status_code}, which is no page")
    return p95(spent[path]), p95(spent[PEER])


def p95(times: list[float]) -> float:
    return quantiles(times, n=20, method="inclusive")[18]


def fill(folder: Path, cases: int, holds: int, events: int) -> str:
    """A ledger as it is after years. Returns the token of a session of the director."""
    (folder / "sealing.key").write_bytes(SEALING_KEY)
    (folder / "policies.toml").write_text(POLICIES, encoding="utf-8")
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}", SEALING_KEY)
    ledger.connection.upgrade()
    now = datetime.now(UTC)
    director = person(ledger, "director", at=now)
    person(ledger, "deputy", Role.SECOND_CUSTODIAN, at=now)
    place_holds(ledger, director, holds, now)
    open_cases(ledger, cases, now)
    by = Dispositions(ledger=ledger, now=lambda: datetime.now(UTC))
    for number in range(min(OPEN, cases)):
        by.approve(f"C-{number:08}", director, records=3)
    add_events(ledger, events, now)
    token = ledger.accounts.start("director", "password", datetime.now(UTC))
    ledger.close()
    return token


def place_holds(ledger: Ledger, by: Signatory, holds: int, now: datetime) -> None:
    """One a minute until now, each on a patron of its own; one in five is sealed."""
    for number in range(holds):
        at = now + timedelta(milliseconds=number)
        file = HoldFile(
            id=f"H-{number:08}", state=HoldState.PLACING, scope=Scope(subjects=frozenset({Personal(f"patron-{number}")})), matter=MATTER,
            sealed=number % 5 == 0, continuing=True, placed_by=by.person.name, placed_at=at, review_every_days=90,
            provisional_until=now + timedelta(days=14), review_on=date(2099, 1, 1),
        )  # fmt: skip
        ledger.holds.add(file, act(by, at=at), at=at)


def open_cases(ledger: Ledger, cases: int, now: datetime) -> None:
    """One an hour until now; the newest wait, the others have ended."""
    digest = load(POLICIES, "policies.toml").digest
    survey = {
        "agency": {"due": 3, "population": 9, "kept": {}, "oldest": None, "newest": None, "past_maximum": 0}
    }
    rows, parts = [], []
    for number in range(cases):
        at = stamp(now - timedelta(hours=number))
        waits = number < OPEN
        rows.append({
            "id": f"C-{number:08}", "record_type": "vendor-exports", "on_day": ON.isoformat(), "schedule_digest": digest, "items": 3,
            "manifest_digest": "d1" * 32, "approval_kind": "two-person", "opened_at": at, "opened_by": "scheduler", "opened_epoch": 0,
            "survey": json.dumps(survey), "brakes": "{}", "state": "started" if waits else "closed", "closed_at": None if waits else at,
        })  # fmt: skip
        parts.append({
            "case_id": f"C-{number:08}", "number": 0, "location": "agency", "store": "exports", "items": 3, "first_ordinal": 0,
            "length": 0, "digest": "0" * 64,
        })  # fmt: skip
    version = {"digest": digest, "version": "1", "body": POLICIES, "first_used_at": stamp(now)}
    with ledger.connection.write(now) as entry:
        entry.connection.execute(insert(tables.schedule_version).values(**version))
        entry.connection.execute(insert(tables.case_file), rows)
        entry.connection.execute(insert(tables.part), parts)


def add_events(ledger: Ledger, events: int, now: datetime) -> None:
    """As many as are missing, about the cases. Not chained: no page follows the chain, and it would take minutes."""
    (last,) = ledger.lists.events(limit=1)
    with ledger.connection.write(now) as entry:
        entry.connection.exec_driver_sql(
            "INSERT INTO event (seq, at, kind, actor, subject, body, previous, hash) "
            "WITH RECURSIVE n(i) AS (SELECT ? + 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "SELECT i, ?, 'batch.read-back', 'scheduler', 'C-' || printf('%08d', i % 10000), "
            '\'{"counts":{"destroyed":3}}\', ?, ? FROM n',
            (last.seq, max(events, last.seq + 1), stamp(now), GENESIS, GENESIS),
        )


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The pages over a filled ledger, in a process of their own, until the block ends. Gives their address."""
    command = [sys.executable, "-m", "bench.console", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            origin = process.stdout.readline().strip()
            deadline = time.monotonic() + 60
            while not origin or not answers(origin):
                if not origin or process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the pages' server did not start")
                time.sleep(0.1)
            yield origin
        finally:
            process.terminate()


def answers(origin: str) -> bool:
    try:
        return httpx.get(origin + PEER).status_code == 200
    except httpx.TransportError:
        return False


def serve(folder: Path) -> None:
    """Prints its address, then answers until it is ended."""
    # With the protocol named, as uvicorn itself does it: else asyncio leaves small answers to wait 40 ms for an acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        origin = f"http://localhost:{sock.getsockname()[1]}"
        desk = open_desk(
            ledger_url=f"sqlite:///{folder / 'ledger.db'}", state=folder, policies=folder / "policies.toml", log=LogFolder(folder / "log"),
            evidence=folder / "evidence", origin=origin, now=lambda: datetime.now(UTC), grace_days=7,
        )  # fmt: skip
        print(origin, flush=True)
        config = uvicorn.Config(make_app(desk), log_level="warning", access_log=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
