"""Plan over ten million rows: count, reasons, manifest; beside SQL written by hand that counts by reason and copies out the ids."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psycopg
from pydantic import SecretStr

from bench import loans, servers
from bench.purge_postgresql import fill
from bench.report import Findings, Goal
from bench.site import place_holds, site
from bench.sizes import Scale
from flows.settings import StoreSettings
from flows.wiring import Site
from storage.ledger.cases import new_case_id
from storage.planning import plan

ROWS = {"full": 10_000_000, "small": 300_000, "tiny": 5_000}


def measure(scale: Scale) -> Findings:
    rows = scale.of(ROWS)
    found = Findings(
        bench="plan", title=f"Plan over {rows:,} circulations, PostgreSQL: count, reasons, manifest",
        sizes={"rows": rows, "holds": 25},
    )  # fmt: skip
    with servers.postgresql() as server:
        url = server.create_database("loans")
        fill(url, rows, children=False)
        found.versions = {"postgresql": servers.version_of(url)}
        whole = found.measure(
            "count, reasons and durable manifest", "s", "SQL by hand", Goal(value=1.2, at_least=False)
        )
        with site(
            scale.folder / "site", loans.SCHEDULE, {"ils": StoreSettings(url=SecretStr(url), workers=2)}
        ) as ours:
            place_holds(ours, loans.holds())
            by_hand(url, loans.by_hand(ours), scale.folder / "warm")
            for pair in range(scale.pairs):
                hand, reasons, ids = by_hand(url, loans.by_hand(ours), scale.folder / f"ids-{pair}")
                seconds, due, kept = planned(ours)
                if due != ids or kept != {
                    reason: count for reason, count in reasons.items() if reason != "due"
                }:
                    raise AssertionError(f"by hand {reasons}, ours {due} due and {kept}")
                whole.add(seconds, hand)
                found.sizes = {**found.sizes, "due": due}
    return found


def planned(ours: Site) -> tuple[float, int, dict[str, int]]:
    """Seconds, due, kept by reason; the manifest is on the disk when the clock stops, as step 1 of a case has it."""
    case_id = new_case_id(ours.now())
    began = time.monotonic()
    ours.spool.create(case_id)
    made = plan(
        ledger=ours.ledger, stores=ours.stores, spool=ours.spool, schedule=ours.schedule, record_type=ours.schedule.record_types[0],
        on=ours.today(), case_id=case_id,
    )  # fmt: skip
    seconds = time.monotonic() - began
    ours.spool.discard(case_id)
    return seconds, made.due, {reason.value: count for reason, count in made.kept.items()}


def by_hand(url: str, predicate: loans.Predicate, path: Path) -> tuple[float, dict[str, int], int]:
    """Seconds, rows by reason, ids written. One snapshot for both statements; the file is on the disk when the clock stops."""
    counting = f"""
        SELECT CASE WHEN {predicate.held} THEN 'held' WHEN xact_finish IS NULL THEN 'open'
                    WHEN xact_finish >= '{predicate.finished_before}' THEN 'not-yet' ELSE 'due' END AS reason,
               count(*), min(xact_finish), max(xact_finish)
        FROM circulation GROUP BY 1"""
    copying = f"COPY (SELECT id FROM circulation WHERE {predicate.due} ORDER BY id) TO STDOUT"
    began = time.monotonic()
    with psycopg.connect(servers.plain(url)) as connection, path.open("wb") as file:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reasons = {str(row[0]): int(row[1]) for row in connection.execute(counting.encode())}
        with connection.cursor().copy(copying.encode()) as copied:
            for block in copied:
                file.write(block)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.monotonic() - began
    with path.open("rb") as file:
        ids = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    path.unlink()
    return seconds, reasons, ids
