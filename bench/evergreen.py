"""Finished circulations with their bills, payments and notices, in the shape of Evergreen's tables.

The tables are our own, with the columns and keys that matter here, not Evergreen's schema. Row by row is our own stand-in for a
purge that calls a stored procedure per circulation: it shows the shape of such a loop, not the figures of any product.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import psycopg
from pydantic import SecretStr

from bench import servers
from bench.report import Findings, Goal
from bench.site import Round, carry_out, on_subjects, on_times, place_holds, site
from bench.sizes import Scale
from flows.settings import StoreSettings

CIRCULATIONS = {"full": 80_000, "small": 8_000, "tiny": 1_000}
FINISHED = "xact_finish < now() - interval '40 days'"

TABLES = (
    "CREATE SCHEMA action", "CREATE SCHEMA money", "CREATE SCHEMA action_trigger",
    """
    CREATE TABLE action.circulation (
        id bigint PRIMARY KEY, usr integer NOT NULL, target_copy bigint NOT NULL, circ_lib integer NOT NULL, circ_staff integer NOT NULL,
        xact_start timestamptz NOT NULL, xact_finish timestamptz, due_date timestamptz, checkin_time timestamptz, stop_fines text,
        stop_fines_time timestamptz, recurring_fine numeric(6,2), max_fine numeric(6,2), circ_type text
    )""",
    """
    CREATE TABLE action.aged_circulation (
        id bigint PRIMARY KEY, usr_post_code text, usr_birth_year integer, target_copy bigint NOT NULL, circ_lib integer NOT NULL,
        xact_start timestamptz NOT NULL, xact_finish timestamptz
    )""",
    "CREATE TABLE money.billing (id bigint PRIMARY KEY, xact bigint NOT NULL REFERENCES action.circulation (id), billing_ts timestamptz, amount numeric(6,2), note text)",
    "CREATE TABLE money.payment (id bigint PRIMARY KEY, xact bigint NOT NULL REFERENCES action.circulation (id), payment_ts timestamptz, amount numeric(6,2), note text)",
    "CREATE TABLE action_trigger.event (id bigint PRIMARY KEY, target bigint NOT NULL, event_def integer, state text, run_time timestamptz, user_data text)",
)  # fmt: skip
ROWS = (
    """
    INSERT INTO action.circulation
    SELECT g, 1 + g % 6000, 1 + g * 7 % 40000, 1 + g % 8, 1, now() - interval '200 days', now() - interval '100 days',
        now() - interval '179 days', now() - interval '100 days', 'CHECKIN', now() - interval '100 days', 0.25, 10, 'standard'
    FROM generate_series(1, {count}) AS g""",
    """
    INSERT INTO action.circulation
    SELECT g, 1 + g % 6000, 1 + g * 7 % 40000, 1 + g % 8, 1, now() - interval '20 days', NULL, now() + interval '1 day', NULL, NULL, NULL, 0.25, 10,
        'standard'
    FROM generate_series({count} + 1, {count} + {count} / 4) AS g""",
    "INSERT INTO money.billing SELECT g, 1 + g % {count}, now() - interval '150 days', 0.25, 'Overdue' FROM generate_series(1, {count}) AS g",
    "INSERT INTO money.payment SELECT g, 1 + g * 4 % {count}, now() - interval '100 days', 0.25, '' FROM generate_series(1, {count} / 4) AS g",
    "INSERT INTO action_trigger.event SELECT g, 1 + g % {count}, 1, 'complete', now() - interval '150 days', 'A notice' FROM generate_series(1, {count} * 2) AS g",
    "CREATE INDEX ON action.circulation (usr)", "CREATE INDEX ON action.circulation (target_copy)", "CREATE INDEX ON money.billing (xact)",
    "CREATE INDEX ON money.payment (xact)", "CREATE INDEX ON action_trigger.event (target)", "VACUUM (FREEZE, ANALYZE)",
)  # fmt: skip
HELD = tuple(range(100, 140))
SINCE = datetime.now(UTC) - timedelta(days=3)
SCHEDULE = """
[store.ils]
kind = "database"
title = "Library system"

[record-type.checkouts]
title = "Checkouts"
description = "Who borrowed what, what was billed and paid for it, and the notices about it."
authority = { citation = "Policy 5-9" }
owner = "Circulation"
personal-data = ["patron", "item", "dates", "amount"]
trigger = "loan finished"
cutoff = "event"
minimum = "P39D"
maximum = "P1Y"
disposition = "purge"
approval = "standing"
limits = { percent = 90 }
effective-from = 2020-01-01

[[record-type.checkouts.location]]
name = "circulations"
store = "ils"
table = "action.circulation"
key = "id"
trigger-column = "xact_finish"
trigger-kind = "timestamp"
time-zone = "library"
subject = "usr"
branch = "circ_lib"
span-start = "xact_start"
span-end = "xact_finish"

[[record-type.checkouts.location.dependent]]
table = "money.billing"
column = "xact"

[[record-type.checkouts.location.dependent]]
table = "money.payment"
column = "xact"

[[record-type.checkouts.location.dependent]]
table = "action_trigger.event"
column = "target"
soft = true
"""
LOOP = """
DO $$
DECLARE circ record; owed numeric;
BEGIN
    FOR circ IN SELECT * FROM action.circulation WHERE {due} ORDER BY id LOOP
        SELECT coalesce((SELECT sum(amount) FROM money.billing WHERE xact = circ.id), 0)
             - coalesce((SELECT sum(amount) FROM money.payment WHERE xact = circ.id), 0) INTO owed;
        INSERT INTO action.aged_circulation VALUES (circ.id, '80601', 1980, circ.target_copy, circ.circ_lib, circ.xact_start, circ.xact_finish);
        DELETE FROM action_trigger.event WHERE target = circ.id;
        DELETE FROM money.payment WHERE xact = circ.id;
        DELETE FROM money.billing WHERE xact = circ.id;
        DELETE FROM action.circulation WHERE id = circ.id;
    END LOOP;
END $$"""
SET_BASED = """
WITH due AS MATERIALIZED (SELECT id FROM action.circulation WHERE {due}),
     events AS (DELETE FROM action_trigger.event USING due WHERE target = due.id),
     payments AS (DELETE FROM money.payment USING due WHERE xact = due.id),
     billings AS (DELETE FROM money.billing USING due WHERE xact = due.id)
DELETE FROM action.circulation USING due WHERE circulation.id = due.id"""


def measure(scale: Scale) -> Findings:
    count = scale.of(CIRCULATIONS)
    found = Findings(
        bench="evergreen", title=f"{count:,} finished circulations with bills, payments and notices, Evergreen's shape, PostgreSQL",
        sizes={"circulations": count, "bills": count, "payments": count // 4, "notices": count * 2, "holds": 25, "workers": 2},
    )  # fmt: skip
    goal = Goal(value=10_000, of_ours=True)
    loop = found.measure("whole run", "rows/s", "row by row in a procedure (our stand-in)", goal)
    once = found.measure("whole run", "rows/s", "one set-based statement")
    alone = found.measure("purge and certificate alone", "rows/s", "one set-based statement")
    with servers.postgresql() as server:
        url = server.create_database("evergreen")
        with psycopg.connect(servers.plain(url), autocommit=True) as connection:
            for statement in (*TABLES, *ROWS):
                connection.execute(statement.format(count=count).encode())
        found.versions = {"postgresql": servers.version_of(url)}
        for pair in range(scale.pairs):
            slow = peer(servers.copied(server, "evergreen", "round"), LOOP)
            done = ours(scale, servers.copied(server, "evergreen", "round"), f"ours-{pair}")
            fast = peer(servers.copied(server, "evergreen", "round"), SET_BASED)
            expected = left(server.url("evergreen")) - left(server.url("round"))
            if done.destroyed != expected:
                raise AssertionError(
                    f"{done.destroyed} circulations destroyed, the set-based statement {expected}"
                )
            loop.add(done.rate, done.destroyed / slow)
            once.add(done.rate, done.destroyed / fast)
            alone.add(done.destroyed / done.destroying, done.destroyed / fast)
    found.notes.append(
        "rows are circulations; each goes with its bills, payments and notices (about 3.25 more rows)"
    )
    return found


def ours(scale: Scale, url: str, name: str) -> Round:
    with site(scale.folder / name, SCHEDULE, {"ils": StoreSettings(url=SecretStr(url), workers=2)}) as made:
        place_holds(made, [*on_subjects(HELD), *on_times("12345", SINCE)])
        return carry_out(made)


def peer(url: str, statement: str) -> float:
    """Seconds of the statement with its commit."""
    due = f"{FINISHED} AND usr NOT IN ({', '.join(map(str, HELD))})"
    with psycopg.connect(servers.plain(url)) as connection:
        began = time.monotonic()
        connection.execute(statement.format(due=due).encode())
        connection.commit()
        return time.monotonic() - began


def left(url: str) -> int:
    with psycopg.connect(servers.plain(url)) as connection:
        row = connection.execute("SELECT count(*) FROM action.circulation").fetchone()
        assert row is not None
        return int(row[0])
