"""The nightly flow on a real Prefect server, and what is left in its database."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest
from httpx import ConnectError
from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows import disposing, running
from flows.applying import SUMMARY, Applied, Finished, Line, Surveyed, apply_schedule, summary
from flows.disposing import Disposed, dispose
from flows.door import StepFailed
from flows.reminding import remind
from flows.settings import Settings
from flows.settling import Prepared, settle
from flows.wiring import Site
from retention.holds import Scope
from retention.records import Personal
from retention.schedule import RecordType
from storage.ledger.cases import Case, CaseState
from storage.planning import Plan
from tests.console.twins import without_chance
from tests.flows.conftest import CANARY, DUE, KEPT, furnish, left
from tests.flows.test_reminders import MATTER, person

CONTROL = "Qwertycontrol"
"""Written into Prefect's database on purpose, so that the search is known to find what is there."""


@flow(name="control", persist_result=False)
def control(word: str) -> None:
    create_markdown_artifact(word, key="control")


@flow(name="with-progress", persist_result=False)
def with_progress() -> None:
    """Tells a quarter of a case's progress from another thread."""
    progress = disposing.Progress("C20260331-0badcafe")
    worker = Thread(target=progress.destroying, args=("C20260331-0badcafe", 1, 4))
    worker.start()
    worker.join()


def stored(database: Path) -> bytes:
    """Everything in Prefect's database, its write-ahead log included."""
    return b"".join(path.read_bytes() for path in sorted(database.parent.glob(f"{database.name}*")))


def all_written(database: Path) -> None:
    """Until what was sent in the background before is there too."""
    word = f"{CONTROL}{time.monotonic_ns()}"
    control(word)
    deadline = time.monotonic() + 30
    while word.encode() not in stored(database) and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(3)  # logs go in batches of their own, every two seconds
    assert word.encode() in stored(database)


RUNS = "(select id from flow_run where created >= :since and created < :until)"
TOLD = {
    "run": f"select name, parameters, tags, labels, context, state_name from flow_run where id in {RUNS}",
    "run state": f"select type, name, message, data from flow_run_state where flow_run_id in {RUNS}",
    "task": f"select name, task_key, task_inputs, tags, labels, state_name from task_run where flow_run_id in {RUNS}",
    "task state": "select told.type, told.name, told.message, told.data from task_run_state told"
    f" join task_run on task_run.id = told.task_run_id where task_run.flow_run_id in {RUNS}",
    "log": f"select name, level, message from log where flow_run_id in {RUNS}",
    "artifact": f"select key, type, data, description from artifact where flow_run_id in {RUNS}",
}
"""What Prefect keeps of the runs of a time."""
CHANCE = (
    (r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", "UUID"),
    (r"case-c\d{8}-[0-9a-f]{8}", "case-ID"),
    (r"127\.0\.0\.1:\d+", "SERVER"),
    (r"^([a-z]+)-[0-9a-f]{3}(?= \|)", r"\1"),
)


def told_of_runs(database: Path, since: datetime, until: datetime) -> list[tuple[str, str]]:
    """Without what differs between any two runs: ids, random names, times."""
    given = {name: f"{at:%Y-%m-%d %H:%M:%S.%f}" for name, at in (("since", since), ("until", until))}
    found = []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        names = [row[0] for row in connection.execute(f"select name from flow_run where id in {RUNS}", given)]
        for kind, query in TOLD.items():
            for row in connection.execute(query, given):
                text = " | ".join(map(str, row))
                for name in names:
                    text = text.replace(name, "dispose" if name.startswith("dispose-") else "NAME")
                for pattern, word in CHANCE:
                    text = re.sub(pattern, word, text)
                found.append((kind, without_chance(text)))
    return sorted(found)


def artifacts(database: Path, key: str) -> str:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return "".join(
            str(row[0]) for row in connection.execute("select data from artifact where key = ?", (key,))
        )


@pytest.mark.usefixtures("tidy")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.xdist_group("prefect")
class TestOnPrefect:
    """Needs Prefect's server; 20 to 75 seconds to start, once."""

    pytestmark = pytest.mark.slow

    def test_a_night_destroys_what_is_due_and_leaves_the_rest_waiting(
        self, prefect_database: Path, library: Settings, site: Site
    ) -> None:
        applied = apply_schedule()
        assert [(line.record_type, line.disposed and line.disposed.counts) for line in applied.lines] == [
            ("loans", {"destroyed": DUE}), ("rooms", {"destroyed": DUE}), ("fees", {}),
        ]  # fmt: skip
        assert [left(name) for name in ("loans", "rooms", "fees")] == [KEPT, KEPT, DUE + KEPT]
        (case,) = site.ledger.cases.list(state=CaseState.STARTED)
        assert remind().approve == (case.id,)
        assert case.id in artifacts(prefect_database, SUMMARY)

    def test_an_approved_case_is_carried_out_by_its_own_flow(
        self, prefect_database: Path, library: Settings, site: Site
    ) -> None:
        (fees,) = running.chosen_types(site, ["fees"])
        _, case = running.begin(site, fees, site.today(), running.Silent())
        assert case is not None
        assert dispose(case.id).waiting
        for name in ("ada", "ben"):
            site.dispositions.approve(case.id, person(site, name), records=case.records)
        disposed = dispose(case.id)
        assert (disposed.state, disposed.counts) == ("closed", {"destroyed": DUE})
        assert left("fees") == KEPT

    def test_a_second_night_finds_nothing_to_do(self, prefect_database: Path, library: Settings) -> None:
        apply_schedule(record_types=["loans"])
        again = apply_schedule(record_types=["loans"])
        assert [line.disposed for line in again.lines] == [None]
        assert settle() == Prepared(settled=())

    def test_one_record_types_failure_keeps_no_other_from_running_and_nothing_personal_is_written_down(
        self, prefect_database: Path, library: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin = running.begin

        def broken(site: Site, record_type: RecordType, *rest: object) -> tuple[Plan | None, Case | None]:
            if record_type.id == "loans":
                raise ValueError(f"cannot read row of {CANARY} Person")
            return begin(site, record_type, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(running, "begin", broken)
        with pytest.raises(StepFailed, match="1 of 3 record types had trouble: loans"):
            apply_schedule()
        assert [left(name) for name in ("loans", "rooms")] == [DUE + KEPT, KEPT]
        remind()
        all_written(prefect_database)
        written = stored(prefect_database)
        assert b"unexpected ValueError" in written
        assert CANARY.encode() not in written
        assert CANARY.lower().encode() not in written.lower()

    def test_a_sealed_hold_leaves_no_trace_in_the_database_of_a_night(
        self, prefect_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two nights that differ by a sealed hold alone: in the second library what it keeps is not due yet."""
        moments = [datetime.now(UTC)]
        for name in ("with", "without"):
            root = tmp_path / name
            root.mkdir()
            with closing(Site(furnish(root, monkeypatch))) as site:
                ada = person(site, "ada")
                if name == "with":
                    subjects = frozenset({Personal(f"{CANARY}-{number}") for number in (1, 2)})
                    scope = Scope(record_types=frozenset({"loans"}), subjects=subjects)
                    site.enforcing.place(scope, MATTER, ada, sealed=True)
                else:
                    with closing(sqlite3.connect("library.db")) as connection, connection:
                        connection.execute(
                            "update loans set finished = '2099-01-05 10:00:00' where id in (1, 2)"
                        )
                apply_schedule()
                assert left("loans") == KEPT + 2
            moments.append(datetime.now(UTC))
        all_written(prefect_database)
        one, other = [told_of_runs(prefect_database, *between) for between in pairwise(moments)]
        assert {kind for kind, _ in one} == {"run", "run state", "task", "task state", "log", "artifact"}
        differing = {*one} ^ {*other}
        assert not differing
        assert one == other

    def test_progress_is_told_from_a_workers_thread(
        self, prefect_database: Path, library: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(disposing, "PROGRESS_SECONDS", 0.0)
        with_progress()
        assert artifacts(prefect_database, "case-c20260331-0badcafe") == "25"

    def test_a_day_to_come_is_refused_before_anything_is_done(
        self, prefect_database: Path, library: Settings
    ) -> None:
        with pytest.raises(StepFailed, match="has not come"):
            apply_schedule(on="2199-01-01")
        assert left("loans") == DUE + KEPT


def test_a_case_goes_on_when_prefect_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(*_given: object, **_named: object) -> None:
        raise ConnectError("connection refused")

    monkeypatch.setattr(disposing, "create_progress_artifact", deaf)
    monkeypatch.setattr(disposing, "update_progress_artifact", deaf)
    progress = disposing.Progress("C20260331-0badcafe")
    progress.destroying("C20260331-0badcafe", 1, 4)
    progress.ended()


def test_the_summary_says_what_became_of_each_record_type() -> None:
    lines = (
        Line(record_type="loans", surveyed=Surveyed(record_type="loans", case="C1", due=7, population=10),
             disposed=Disposed(case="C1", state="closed", counts={"destroyed": 6, "withheld": 1}, certificate="C1-1")),
        Line(record_type="fees", surveyed=Surveyed(record_type="fees", case="C2"), disposed=Disposed(case="C2", state="started", waiting=True)),
        Line(record_type="rooms", surveyed=Surveyed(record_type="rooms", due=0, population=5)),
        Line(record_type="films", error="store cameras does not answer"),
    )  # fmt: skip
    text = summary(
        Applied(on="2026-03-31", prepared=Prepared(settled=("C0",)), lines=lines, finished=Finished())
    )
    rows = [row for row in text.splitlines() if row.startswith("| ")][2:]
    assert rows == [
        "| loans | 7 | 6 | 1 | 0 | 0 | 0 | C1 | certificate C1-1 |",
        "| fees |  | 0 | 0 | 0 | 0 | 0 | C2 | waits for people |",
        "| rooms | 0 | 0 | 0 | 0 | 0 | 0 |  | nothing due |",
        "| films |  | 0 | 0 | 0 | 0 | 0 |  | failed: store cameras does not answer |",
    ]
    assert "Interrupted cases settled first: 1." in text
    assert "root key" not in text


def test_the_summary_says_what_became_of_keys_and_certificates() -> None:
    finished = Finished(
        rotated=True, removed=3, trouble=("the root is missing",), finalised=("C1-2",), superseded=("C0-3",)
    )
    text = summary(Applied(on="2026-03-31", prepared=Prepared(settled=()), lines=(), finished=finished))
    assert text.splitlines()[-5:] == [
        "The root key was replaced.",
        "Sealed files without a key removed: 3.",
        "Not finished, and tried again by the next run: the root is missing.",
        "Certificates made final: 1.",
        "Certificate C0-3 supersedes the one before it.",
    ]


@pytest.mark.parametrize(
    "disposed",
    [
        Disposed(case="C1", state="closed", counts={"unknown": 1}),
        Disposed(case="C1", state="failed", failed="canary"),
    ],
)
def test_what_was_not_destroyed_or_is_unknown_is_trouble(disposed: Disposed) -> None:
    assert Line(record_type="loans", disposed=disposed).troubled
