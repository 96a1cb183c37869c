"""Circulations as a library system keeps them: a table with two secondary indexes, and notices that refer to it by foreign key.

Loans begin evenly over 1125 days and end up to 40 days later; one in a hundred is still out. With a minimum of two years about one
third is due, mostly the lowest ids, as in a table that grew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.site import on_subjects, on_times
from flows.wiring import Site
from retention.holds import Scope
from retention.schedule import TableLocation
from storage.planning import criteria_for

PATRONS = 60_000
BRANCHES = 8
HELD = tuple(range(1000, 1040))
"""Patrons under a hold: two to each of 20 holds."""
HELD_BRANCHES = ("1", "2", "3", "4", "5")
HELD_SINCE = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
"""Start of the one day that 5 more holds keep at a branch each."""

SCHEDULE = """
[store.ils]
kind = "database"
title = "Library system"
residual = { "database backups" = "P35D" }

[record-type.circulations]
title = "Circulations"
description = "Who borrowed what."
authority = { citation = "Policy 5-9" }
owner = "Circulation"
personal-data = ["patron", "item", "dates"]
trigger = "loan finished"
cutoff = "event"
minimum = "P2Y"
maximum = "P4Y"
disposition = "purge"
approval = "standing"
limits = { percent = 90 }
effective-from = 2020-01-01

[[record-type.circulations.location]]
name = "circulations"
store = "ils"
table = "circulation"
key = "id"
trigger-column = "xact_finish"
trigger-kind = "timestamp"
time-zone = "UTC"
subject = "usr"
branch = "circ_lib"
span-start = "xact_start"
span-end = "xact_finish"
"""
NOTICES = """
[[record-type.circulations.location.dependent]]
table = "notice"
column = "circulation"
"""

POSTGRESQL = (
    """
    CREATE TABLE circulation (
        id bigint NOT NULL, usr integer NOT NULL, target_copy bigint NOT NULL, circ_lib integer NOT NULL,
        xact_start timestamptz NOT NULL, xact_finish timestamptz, due_date timestamptz NOT NULL, renewals integer NOT NULL,
        stop_fines text, workstation text
    )""",
    """
    INSERT INTO circulation
    SELECT g, 1 + hashint8(g) & 2147483647 % {patrons}, 1 + (hashint8(g + 7) & 2147483647) % 400000, 1 + g % {branches}, begun,
        CASE WHEN g % 100 <> 0 THEN begun + (1 + (hashint8(g + 3) & 2147483647) % 57600) * interval '1 minute' END,
        begun + interval '21 days', g % 3, CASE WHEN g % 100 <> 0 THEN 'CHECKIN' END, 'desk-' || g % 40
    FROM (SELECT g, now() - interval '1125 days' * (1 - g::float8 / {rows}) AS begun FROM generate_series(1::bigint, {rows}) AS g) AS made""",
    "ALTER TABLE circulation ADD PRIMARY KEY (id)",
    "CREATE INDEX circulation_usr ON circulation (usr)",
    "CREATE INDEX circulation_copy ON circulation (target_copy)",
    """
    CREATE TABLE notice (id bigint PRIMARY KEY, circulation bigint NOT NULL REFERENCES circulation (id), sent timestamptz, body text)""",
    """
    INSERT INTO notice SELECT id / 10, id, xact_start + interval '22 days', 'Your loan ' || id || ' is overdue. Please return it.'
    FROM circulation WHERE id % 10 = 5""",
    "CREATE INDEX notice_circulation ON notice (circulation)",
    "VACUUM (FREEZE, ANALYZE)",
)
MARIADB = (
    """
    CREATE TABLE circulation (
        id bigint NOT NULL, usr integer NOT NULL, target_copy bigint NOT NULL, circ_lib integer NOT NULL, xact_start datetime NOT NULL,
        xact_finish datetime NULL, due_date datetime NOT NULL, renewals integer NOT NULL, stop_fines varchar(20), workstation varchar(20),
        PRIMARY KEY (id)
    ) ENGINE=InnoDB""",
    """
    INSERT INTO circulation
    SELECT seq, 1 + crc32(seq) % {patrons}, 1 + crc32(seq + 7) % 400000, 1 + seq % {branches}, begun,
        CASE WHEN seq % 100 <> 0 THEN begun + INTERVAL 1 + crc32(seq + 3) % 57600 MINUTE END, begun + INTERVAL 21 DAY, seq % 3,
        CASE WHEN seq % 100 <> 0 THEN 'CHECKIN' END, concat('desk-', seq % 40)
    FROM (SELECT seq, utc_timestamp() - INTERVAL floor(1125 * 1440 * (1 - seq / {rows})) MINUTE AS begun FROM seq_1_to_{rows}) AS made""",
    "CREATE INDEX circulation_usr ON circulation (usr)",
    "CREATE INDEX circulation_copy ON circulation (target_copy)",
    """
    CREATE TABLE notice (
        id bigint PRIMARY KEY, circulation bigint NOT NULL, sent datetime, body varchar(200), KEY (circulation),
        FOREIGN KEY (circulation) REFERENCES circulation (id)
    ) ENGINE=InnoDB""",
    """
    INSERT INTO notice SELECT id DIV 10, id, xact_start + INTERVAL 22 DAY, concat('Your loan ', id, ' is overdue. Please return it.')
    FROM circulation WHERE id % 10 = 5""",
    "ANALYZE TABLE circulation, notice",
)


def holds() -> Iterator[Scope]:
    """The 25 holds in force."""
    yield from on_subjects(HELD)
    yield from on_times(HELD_BRANCHES, HELD_SINCE)


def statements(engine: tuple[str, ...], rows: int) -> list[str]:
    return [statement.format(rows=rows, patrons=PATRONS, branches=BRANCHES) for statement in engine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    """What is due in plain SQL, as somebody would write it by hand."""

    finished_before: str

    @property
    def held(self) -> str:
        since, until = (HELD_SINCE + timedelta(days=days) for days in (0, 1))
        return (
            f"usr IN ({', '.join(map(str, HELD))}) OR circ_lib IN ({', '.join(HELD_BRANCHES)}) AND xact_start <= '{until:%Y-%m-%d}'"
            f" AND (xact_finish IS NULL OR xact_finish >= '{since:%Y-%m-%d}')"
        )

    @property
    def due(self) -> str:
        return f"xact_finish < '{self.finished_before}' AND usr NOT IN ({', '.join(map(str, HELD))})"


def by_hand(site: Site) -> Predicate:
    """The predicate for today, with the boundary of the schedule: local midnight in the library's zone, as UTC."""
    criteria = criteria_for(
        site.schedule, site.schedule.record_type("circulations"), "circulations", site.today()
    )
    assert isinstance(criteria.location, TableLocation)
    boundary: datetime = criteria.minimum_boundary(criteria.record_type.rules[0]).instant
    return Predicate(finished_before=boundary.strftime("%Y-%m-%d %H:%M:%S"))
