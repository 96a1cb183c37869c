"""``run``: dry by default, and what it says and does with ``--execute``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console.cli import progress
from flows.settings import load_settings
from flows.wiring import Site
from storage.ledger.ledger import Ledger
from tests.console.golden import same_as_before, transcript
from tests.console.library import Library


def by_type(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {result["record_type"]: result for result in document["results"]}


def everything(library: Library) -> tuple[object, ...]:
    return library.loans(), library.exports(), library.footage()


def events(library: Library) -> int:
    count: int = library.done("db", "check", "--json").json["events"]
    return count


def test_the_transcript_of_a_dry_run(library: Library) -> None:
    said = library.done("run", "--cannot-decide", "5")
    same_as_before("dry-run", transcript(library, said, "run", "--cannot-decide", "5"))


def test_a_dry_run_touches_nothing(library: Library) -> None:
    before = everything(library), events(library)
    library.done("run")
    library.done("run", "--on", "2036-01-01")
    assert (everything(library), events(library)) == before


def test_a_dry_run_as_json(library: Library) -> None:
    document = library.done("run", "--json").json
    assert (document["format"], document["execute"], document["on"]) == (
        "retention.run/1",
        False,
        "2035-06-15",
    )
    plan = by_type(document)["past-checkouts"]["plan"]
    assert (plan["due"], plan["population"]) == (4, 10)
    assert plan["kept"] == {"not-eligible": 4, "no-trigger": 1, "blocked": 1}
    assert plan["locations"][0]["oldest"] == "2035-03-07"


def test_executing_destroys_what_is_due_and_certifies_it(library: Library) -> None:
    said = library.done("run", "--execute")
    assert library.loans() == [5, 6, 7, 8, 9, 10]
    assert len(library.footage()) == 1
    assert len(library.exports()) == 3, "two people have to approve this one"
    assert "4 destroyed, and read back as gone" in said.out
    assert "a brake stopped it" in said.out
    paths = [line.rpartition(": ")[2] for line in said.out.splitlines() if "  certificate " in line]
    assert len(paths) == 2
    for path in paths:
        library.done("certificate", "verify", path)


def test_the_transcript_of_an_executed_run(library: Library) -> None:
    same_as_before("execute", transcript(library, library("run", "--execute"), "run", "--execute"))


def test_running_again_destroys_nothing_and_certifies_nothing(library: Library) -> None:
    library.done("run", "--execute")
    document = library.done("run", "--execute", "--json", "--record-type", "past-checkouts").json
    (result,) = document["results"]
    assert (result["plan"]["due"], result["case"]) == (0, None)


def test_a_held_record_stays(staffed: Library) -> None:
    staffed.done(
        "hold", "place", "--matter", "M", "--kind", "audit", "--authority", "A", "--subject", "102", "--as", "ada"
    )  # fmt: skip
    said = staffed.done("run", "--execute", "--record-type", "past-checkouts")
    assert staffed.loans() == [1, 3, 5, 6, 7, 8, 9, 10]
    assert "under a legal hold" in said.out


def test_a_sealed_hold_shows_in_no_output(staffed: Library) -> None:
    place = (
        "hold",
        "place",
        "--matter",
        "M",
        "--kind",
        "warrant",
        "--authority",
        "A",
        "--subject",
        "102",
        "--as",
        "ada",
    )
    staffed.done(*place, "--sealed")
    told = "".join(
        staffed.done(*words).out
        for words in (
            ("run",),
            ("run", "--json"),
            ("explain", "past-checkouts", "1"),
            ("explain", "past-checkouts", "1", "--json"),
            ("hold", "list"),
            ("hold", "list", "--json", "--all"),
            ("run", "--execute", "--json"),
            ("case", "list", "--json"),
            ("certificate", "list", "--json"),
        )
    )
    assert staffed.loans() == [1, 3, 5, 6, 7, 8, 9, 10]
    told = told.replace(str(staffed.root), "").replace("retention.hold.list/1", "").replace('"holds": []', "")
    assert "hold" not in told.replace("no hold is in force", "").replace("there is no hold", "")
    assert "sealed" not in told


def test_a_day_to_come_is_never_executed(library: Library) -> None:
    said = library("run", "--execute", "--on", "2035-06-16")
    assert said.code == 5
    assert "has not come" in said.err
    assert len(library.loans()) == 10


def test_a_clock_set_back_stops_everything(library: Library) -> None:
    library.done("run", "--execute", "--record-type", "camera-footage")
    library.now -= timedelta(days=1)
    said = library("run", "--execute")
    assert said.code == 5
    assert "clock" in said.err
    assert len(library.loans()) == 10


def test_an_unknown_record_type_is_a_wrong_call(library: Library) -> None:
    assert library("run", "--record-type", "past-chekouts").code == 2


def test_a_missing_table_is_refused_and_the_others_go_on(library: Library) -> None:
    library.amend('table = "loan"', 'table = "lone"')
    assert library("run").code == 5
    said = library("run", "--execute")
    assert said.code == 5
    assert len(library.loans()) == 10
    assert len(library.footage()) == 1


def test_a_store_that_is_down_ends_with_7_and_the_others_go_on(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETENTION_STORES__ILS__URL", f"sqlite:///{library.root}/nowhere/ils.db")
    said = library("run", "--execute", "--json")
    assert said.code == 7
    assert by_type(said.json)["past-checkouts"]["error"]["exit_code"] == 7
    assert len(library.footage()) == 1


def test_a_store_without_an_address_is_a_wrong_setting(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETENTION_STORES__ILS__URL")
    said = library("run")
    assert said.code == 2
    assert "RETENTION_STORES__ILS__URL" in said.out


def test_no_ledger_no_run(bare: Library) -> None:
    said = bare("run", "--execute")
    assert said.code == 7
    assert "db upgrade" in said.err
    assert len(bare.loans()) == 10


def test_a_read_only_ledger_ends_with_7_and_nothing_is_destroyed(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETENTION_LEDGER_URL", f"sqlite:///file:{library.state}/ledger.db?mode=ro&uri=true")
    assert library("run", "--execute").code == 7
    assert len(library.loans()) == 10


def test_a_locked_ledger_ends_with_7_and_nothing_is_destroyed(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Ledger.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(Ledger.__init__.__kwdefaults__, "busy_seconds", 0.2)
    site = Site(load_settings(), lambda: library.now)
    with site.ledger.connection.write(library.now):
        said = library("run", "--execute")
    site.close()
    assert said.code == 7
    assert len(library.loans()) == 10


def test_a_second_run_at_the_same_time_is_refused(library: Library) -> None:
    site = Site(load_settings(), lambda: library.now)
    lease = site.ledger.cases.acquire("past-checkouts", at=library.now)
    said = library("run", "--execute")
    site.ledger.cases.release(lease, at=library.now)
    site.close()
    assert said.code == 5
    assert "another run is working on past-checkouts" in said.out
    assert len(library.loans()) == 10
    library.done("run", "--execute")
    assert len(library.loans()) == 6


def test_what_could_not_be_destroyed_ends_with_3(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage.files.batch import FileBatch

    monkeypatch.setattr(FileBatch, "destroy", lambda self: None)
    said = library("run", "--execute", "--record-type", "camera-footage")
    assert said.code == 3
    assert "still there" in said.out
    assert len(library.footage()) == 3
    assert library.done("certificate", "list", "--json").json["certificates"] == []


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = progress.Reporter.destroying

    def interrupt(self: progress.Reporter, case: str, done: int, items: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        drawn(self, case, done, items)

    monkeypatch.setattr(progress.Reporter, "destroying", interrupt)
    said = library("run", "--execute", "--record-type", "past-checkouts")
    assert said.code == 130
    assert "retention run --execute" in said.err
    assert len(library.loans()) == 9, "the canary went, and was read back"
    monkeypatch.undo()
    for name, value in library.settings().items():
        monkeypatch.setenv(name, value)
    assert library.done("db", "check", "--json").json["open_intents"] == 0
    library.done("run", "--execute", "--record-type", "past-checkouts")
    assert library.loans() == [5, 6, 7, 8, 9, 10]


@pytest.mark.slow
def test_ctrl_c_ends_a_real_run_cleanly(tmp_path: Path, bare: Library) -> None:
    """A run of its own process over many files, interrupted from outside, then finished."""
    bare.now = datetime.now(UTC)
    bare.done("db", "upgrade")
    folder = tmp_path / "cameras" / "recordings"
    at = (bare.now - timedelta(days=40)).replace(minute=0, second=0, microsecond=0)
    for index in range(6000):
        moment = at + timedelta(seconds=10 * index)
        path = folder / f"{moment:%Y-%m-%d}" / f"{moment:%H}" / "door" / f"{moment:%M.%S}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (moment.timestamp(), moment.timestamp()))
    bare.amend("percent = 95", "percent = 100")
    before = len(bare.footage())
    words = [sys.executable, "-m", "console.cli.main", "run", "--execute", "--record-type", "camera-footage"]
    here = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(here)}
    running = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while len(bare.footage()) == before and running.poll() is None:
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    if running.returncode == 0:
        pytest.skip("it was done before the signal came")
    assert running.returncode == 130, (out, err)
    assert "go on with: retention run --execute" in err
    assert bare.done("db", "check", "--json").json["open_intents"] == 0
    bare.now = datetime.now(UTC)
    bare.done("run", "--execute", "--record-type", "camera-footage")
    (certificate,) = bare.done("certificate", "list", "--json").json["certificates"]
    bare.done("certificate", "verify", certificate["path"])


def test_an_empty_root_is_no_address_and_not_the_current_folder(
    staffed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    (staffed.root / "exports").rename(staffed.root / "here")
    monkeypatch.chdir(staffed.root / "here")
    monkeypatch.setenv("RETENTION_STORES__EXPORTS__ROOT", "")
    said = staffed("run", "--record-type", "vendor-exports")
    assert (said.code, "store exports" in said.out + said.err) == (2, True)
