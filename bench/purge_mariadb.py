"""Purge one third of a circulation table on MariaDB, beside pt-archiver on the same rows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pymysql
from pydantic import SecretStr

from bench import archiver, loans, servers
from bench.report import Findings, Goal
from bench.site import Round, carry_out, place_holds, site
from bench.sizes import Scale
from flows.settings import StoreSettings
from tests.servers.mariadb import MariadbServer, connect

ROWS = {"full": 3_000_000, "small": 60_000, "tiny": 6_000}
SLOW_ROWS = {"full": 50_000, "small": 2_000, "tiny": 200}
"""pt-archiver without options commits every row: it gets the lowest ids only."""
DATABASE = "loans"


def measure(scale: Scale) -> Findings:
    rows = scale.of(ROWS)
    found = Findings(
        bench="purge-mariadb", title=f"Purge of a third of {rows:,} circulations, MariaDB",
        sizes={"rows": rows, "children": rows // 10, "secondary_indexes": 2, "holds": 25, "workers": 2, "default_rows": scale.of(SLOW_ROWS)},
    )  # fmt: skip
    with servers.mariadb() as data:
        with data.filling() as server:
            server.create_database(DATABASE)
            fill(server, rows)
            found.versions = {"mariadb": version(server)}
        try:
            found.versions = {**found.versions, "pt-archiver": archiver.require()}
        except archiver.ArchiverMissing as missing:
            found.notes.append(f"pt-archiver is left out: {missing}")
        _measure(scale, data, found)
    return found


def _measure(scale: Scale, data: servers.MariadbData, found: Findings) -> None:
    bulk = found.measure(
        "whole run: plan, purge, certificate",
        "rows/s",
        f"pt-archiver {' '.join(archiver.BULK)}",
        Goal(value=1.2),
    )
    purge = found.measure("purge and certificate alone", "rows/s", "the same")
    default = found.measure(
        "whole run",
        "rows/s",
        f"pt-archiver without options, first {scale.of(SLOW_ROWS):,} rows",
        Goal(value=5.0),
    )
    once = found.measure("whole run, for information", "rows/s", "one raw DELETE")
    for pair in range(scale.pairs):
        if "pt-archiver" in found.versions:
            with warm(data) as server:
                due = _by_hand(scale, f"hand-{pair}").due
                seconds = archiver.purge(server, DATABASE, due, *archiver.BULK)
                peer_left = _left(server)
        else:
            seconds, peer_left = 0.0, None
        with warm(data) as server:
            before = _left(server)
            done = ours(scale, server, f"ours-{pair}")
            left = _left(server)
        if before - left != done.destroyed or peer_left not in (None, left):
            raise AssertionError(f"{left} rows are left by us, {peer_left} by the peer")
        with warm(data) as server:
            once.add(done.rate, done.destroyed / _raw(server, _by_hand(scale, f"raw-{pair}").due))
        if peer_left is not None:
            bulk.add(done.rate, done.destroyed / seconds)
            purge.add(done.destroyed / done.destroying, done.destroyed / seconds)
            with warm(data) as server:
                some = f"id <= {scale.of(SLOW_ROWS)} AND {_by_hand(scale, f'slow-{pair}').due}"
                seconds = archiver.purge(server, DATABASE, some)
                default.add(done.rate, (before - _left(server)) / seconds)


def fill(server: MariadbServer, rows: int) -> None:
    with contextlib.closing(connect(server.path)) as connection, connection.cursor() as cursor:
        cursor.execute(f"USE {DATABASE}")
        cursor.execute("SET SESSION tx_isolation = 'READ-COMMITTED', time_zone = '+00:00'")
        for statement in loans.statements(loans.MARIADB, rows):
            cursor.execute(statement)


def version(server: MariadbServer) -> str:
    with contextlib.closing(connect(server.path)) as connection:
        return str(connection.get_server_info())  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def warm(data: servers.MariadbData) -> Iterator[MariadbServer]:
    """A server on a fresh copy, with tables and indexes read once."""
    with data.fresh() as server:
        with contextlib.closing(connect(server.path)) as connection, connection.cursor() as cursor:
            for index in ("PRIMARY", "circulation_usr", "circulation_copy"):
                cursor.execute(
                    f"SELECT count(*), sum(renewals) FROM {DATABASE}.circulation FORCE INDEX ({index}) WHERE usr >= 0"
                )
            cursor.execute(f"SELECT count(body) FROM {DATABASE}.notice")
        yield server


def ours(scale: Scale, server: MariadbServer, name: str) -> Round:
    stores = {"ils": StoreSettings(url=SecretStr(server.url(DATABASE)), workers=2)}
    with site(scale.folder / name, loans.SCHEDULE + loans.NOTICES, stores) as made:
        place_holds(made, loans.holds())
        return carry_out(made)


def _by_hand(scale: Scale, name: str) -> loans.Predicate:
    with site(scale.folder / name, loans.SCHEDULE + loans.NOTICES, {}) as made:
        return loans.by_hand(made)


def _left(server: MariadbServer) -> int:
    with contextlib.closing(connect(server.path)) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {DATABASE}.circulation")
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])


def _raw(server: MariadbServer, due: str) -> float:
    with (
        contextlib.closing(
            pymysql.connect(unix_socket=str(server.path), user="root", database=DATABASE, autocommit=False)
        ) as connection,
        connection.cursor() as cursor,
    ):
        began = time.monotonic()
        cursor.execute(
            f"DELETE notice FROM notice JOIN circulation ON circulation = circulation.id WHERE {due}"
        )
        cursor.execute(f"DELETE FROM circulation WHERE {due}")
        connection.commit()
        return time.monotonic() - began
