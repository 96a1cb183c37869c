"""Purge one third of a circulation table on PostgreSQL, beside one raw DELETE of the same rows, and beside a live load."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
from pydantic import SecretStr

from bench import live, loans, servers
from bench.report import Findings, Goal
from bench.site import Round, carry_out, place_holds, site
from bench.sizes import Scale
from flows.settings import StoreSettings
from tests.servers.postgresql import PostgresqlServer

ROWS = {"full": 3_000_000, "small": 150_000, "tiny": 6_000}
QUIET_SECONDS = {"full": 20.0, "small": 3.0, "tiny": 1.0}
NICE = 2.0
"""Pause after each batch, as a share of the time it took, where the public is served meanwhile."""


def measure(scale: Scale) -> Findings:
    rows = scale.of(ROWS)
    found = Findings(
        bench="purge-postgresql", title=f"Purge of a third of {rows:,} circulations, PostgreSQL",
        sizes={"rows": rows, "children": rows // 10, "secondary_indexes": 2, "holds": 25, "workers": 2, "live_updates_per_second": live.RATE},
    )  # fmt: skip
    whole = found.measure("whole run: plan, purge, certificate", "rows/s", "one raw DELETE", Goal(value=0.85))
    purge = found.measure("purge and certificate alone", "rows/s", "one raw DELETE")
    busy = found.measure("p99 of live updates", "ms", "without a purge", Goal(value=1.5, at_least=False))
    raw_busy = found.measure("p99 of live updates beside the raw DELETE", "ms", "without a purge")
    nice = found.measure(f"p99 of live updates, rest = {NICE:g}", "ms", "without a purge")
    pace = found.measure(f"rate beside live updates, rest = {NICE:g}", "rows/s", "full pace")
    with servers.postgresql() as server:
        url = server.create_database("loans")
        fill(url, rows)
        found.versions = {"postgresql": servers.version_of(url)}
        bench = _Bench(server, scale, rows)
        for pair in range(scale.pairs):
            raw = bench.raw(pair)
            ours = bench.ours(f"ours-{pair}")
            if ours.destroyed != raw[0]:
                raise AssertionError(f"the raw DELETE took {raw[0]} rows, ours {ours.destroyed}")
            whole.add(ours.rate, raw[0] / raw[1])
            purge.add(ours.destroyed / ours.destroying, raw[0] / raw[1])
            quiet = bench.quiet()
            loud, full = bench.ours_beside(f"loud-{pair}", rest=0.0)
            busy.add(loud, quiet)
            if pair == 0:  # for information: these take long
                raw_busy.add(bench.raw_beside(pair), quiet)
                slow, slowly = bench.ours_beside(f"slow-{pair}", rest=NICE)
                nice.add(slow, quiet)
                pace.add(slowly.rate, full.rate)
    return found


def fill(url: str, rows: int, *, children: bool = True) -> None:
    with psycopg.connect(servers.plain(url), autocommit=True) as connection:
        for statement in loans.statements(loans.POSTGRESQL, rows):
            if children or "notice" not in statement:
                connection.execute(statement.encode())


class _Bench:
    def __init__(self, server: PostgresqlServer, scale: Scale, rows: int) -> None:
        self._server = server
        self._scale = scale
        self._live = (rows * 2 // 3, rows)

    def _fresh(self) -> str:
        return servers.copied(self._server, "loans", "round")

    def _site_folder(self, name: str) -> Path:
        return self._scale.folder / name

    def ours(self, name: str, rest: float = 0.0, url: str | None = None) -> Round:
        url = url or self._fresh()
        stores = {"ils": StoreSettings(url=SecretStr(url), workers=2, rest=rest)}
        with site(self._site_folder(name), loans.SCHEDULE + loans.NOTICES, stores) as ours:
            place_holds(ours, loans.holds())
            return carry_out(ours)

    def raw(self, pair: int, url: str | None = None) -> tuple[int, float]:
        """Rows and seconds of the raw DELETE, children first, both in one transaction."""
        url = url or self._fresh()
        with site(
            self._site_folder(f"raw-{pair}-{time.monotonic_ns()}"), loans.SCHEDULE + loans.NOTICES, {}
        ) as schedule:
            due = loans.by_hand(schedule).due
        with psycopg.connect(servers.plain(url)) as connection:
            began = time.monotonic()
            connection.execute(
                f"DELETE FROM notice USING circulation WHERE circulation = circulation.id AND {due}".encode()
            )
            deleted = connection.execute(f"DELETE FROM circulation WHERE {due}".encode()).rowcount
            connection.commit()
            return deleted, time.monotonic() - began

    def quiet(self) -> float:
        with live.beside(self._fresh(), *self._live) as found:
            time.sleep(self._scale.of(QUIET_SECONDS))
        return live.p99(found.latencies)

    def ours_beside(self, name: str, rest: float) -> tuple[float, Round]:
        url = self._fresh()
        with live.beside(url, *self._live) as found:
            done = self.ours(name, rest, url)
        return live.p99(found.latencies), done

    def raw_beside(self, pair: int) -> float:
        url = self._fresh()
        with live.beside(url, *self._live) as found:
            self.raw(pair, url)
        return live.p99(found.latencies)
