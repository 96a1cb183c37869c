"""The demo: what it claims, looked up again in its folder. Small and without Prefect's server, but for one whole run."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from base64 import b64decode
from contextlib import closing
from datetime import date
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest

from console.demo.expected import is_held
from console.demo.files import FORGOTTEN
from console.demo.folder import MARKER, make_anew, only_here, require_inside
from console.demo.invented import CAMERAS, HELD_PATRON, SMALL
from console.demo.library import barcode
from console.demo.main import run
from flows import running
from flows.settings import Settings, load_settings
from flows.wiring import Site
from retention.errors import Refused
from tests.console.test_guessing import envelopes

TITLE = "retention demo: the Cedar Valley Library District, which does not exist"


def plainly(settings: Settings, on: str, record_types: tuple[str, ...]) -> None:
    """Run the schedule without Prefect."""
    site = Site(settings)
    try:
        done = running.run(site, on=date.fromisoformat(on), record_types=record_types, execute=True)
    finally:
        site.close()
    assert [result.error for result in done.results if result.error] == []


def asleep(_settings: Settings, _on: str, _record_types: tuple[str, ...]) -> None:
    """A schedule that does not run."""


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{folder}/library.db?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def look_again(folder: Path) -> None:
    """The demo's main claims, each by a query of its own."""
    assert rows(
        folder,
        f"select count(*) from action_circulation where usr = {HELD_PATRON} and date(xact_finish) < '2025-12-01'",
    ) > [(0,)]
    others = f"usr <> {HELD_PATRON} and stop_fines = 'CHECKIN' and date(xact_finish) < '2026-02-28'"
    unpaid = "select id from money_materialized_billable_xact_summary where balance_owed <> 0"
    assert rows(
        folder, f"select count(*) from action_circulation where {others} and id not in ({unpaid})"
    ) == [(0,)]
    assert rows(folder, f"select count(*) from action_circulation where {others}") > [(0,)]
    assert rows(folder, "select count(*) from action_circulation where xact_finish is null") > [(0,)]
    orphans = "select count(*) from money_billing where xact not in (select id from action_circulation union select id from money_grocery)"
    assert rows(folder, orphans) == [(0,)]
    segments = [
        str(path.relative_to(folder / "cameras/recordings"))
        for path in (folder / "cameras/recordings").rglob("*.mp4")
    ]
    old = [name for name in segments if name[:10] < "2026-03-16"]
    assert len([name for name in old if is_held(name)]) >= 70
    assert {name.split("/")[2] for name in old} == {"entrance"}
    assert len([name for name in segments if name[:10] > "2026-03-18"]) > 1000
    assert (folder / "exports/analytics" / FORGOTTEN).is_file()
    assert len(list((folder / "state/evidence").glob("*.dsse.json"))) == 12


def learn_nothing(folder: Path) -> None:
    """Somebody tries every card, patron and checkout of the demo against all that is published: certificates, leaves, log."""
    published = [path for path in (folder / "state/evidence").rglob("*") if path.is_file()]
    seen = b"".join(path.read_bytes() for path in published)
    told = [json.loads(b64decode(json.loads(part)["payload"])) for part in envelopes(published)]
    seen += b"".join(json.dumps(one, ensure_ascii=False).encode() for one in told)
    places = {
        f"{place['store']}/{place['location']}/"
        for one in told
        for place in one["predicate"].get("what", {}).get("locations", ())
    }
    assert len(places) > 10
    digests: set[bytes] = set()
    for path in published:
        if path.suffix == ".leaves":
            leaves = path.read_bytes()
            digests |= {leaves[at : at + 32] for at in range(0, len(leaves), 32)}
    assert len(digests) > 1_000
    names = [str(number) for number in range(1, SMALL.circulations + SMALL.history)]
    names += [barcode(number) for number in range(1, SMALL.patrons + 1)]
    for name in names:
        for place in ("", *places):
            for text in (f"{place}{name}", f'["","{place}{name}",null,"destroyed"]'):
                for before in (b"", b"\x00"):
                    assert sha256(before + text.encode()).digest() not in digests
        if len(name) > 10:
            assert name.encode() not in seen
            assert sha256(name.encode()).hexdigest().encode() not in seen


def test_the_demo_does_what_it_says_twice_in_the_same_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "library"
    for _ in range(2):
        assert run(folder, size=SMALL, night=plainly) == 0
        told = capsys.readouterr().out
        assert told.startswith(TITLE)
        assert "NO " not in told
        assert "All 15 facts held." in told
        look_again(folder)
        learn_nothing(folder)
        (folder / "my notes.txt").write_text("keep me", encoding="utf-8")
        (folder / "policies.toml").write_text("# tried something\n", encoding="utf-8")
    assert (folder / "my notes.txt").is_file()
    assert (folder / "policies.yours.toml").read_text(encoding="utf-8") == "# tried something\n"


def test_the_demo_fails_when_what_it_claims_is_not_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []

    def only_once(settings: Settings, on: str, record_types: tuple[str, ...]) -> None:
        calls.append(on)
        if len(calls) == 1:  # the second night, which carries out what was approved, does not happen
            plainly(settings, on, record_types)

    assert run(tmp_path / "library", quiet=True, size=SMALL, night=only_once) == 1
    told = capsys.readouterr().out
    assert TITLE not in told
    assert "NO   no row is left that had to go" in told
    assert "did NOT hold" in told


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "library.db").write_text("mine", encoding="utf-8")
    with pytest.raises(Refused, match="was not made by the demo"):
        make_anew(tmp_path)
    (tmp_path / MARKER).write_text("something else", encoding="utf-8")
    with pytest.raises(Refused, match="was not made by the demo"):
        make_anew(tmp_path)
    assert (tmp_path / "library.db").read_text(encoding="utf-8") == "mine"


def test_a_link_is_not_taken_for_the_demos_folder(tmp_path: Path) -> None:
    make_anew(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(Refused, match="is not a folder"):
        make_anew(tmp_path / "link")


def test_settings_of_the_real_site_do_not_reach_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETENTION_LEDGER_URL", "postgresql://real.example/ledger")
    monkeypatch.setenv("RETENTION_STORES__ILS__URL", "postgresql://real.example/evergreen")
    monkeypatch.setenv("PREFECT_API_URL", "http://real.example/api")
    folder = tmp_path / "library"
    make_anew(folder)
    before = dict(os.environ)
    with only_here(folder) as settings:
        assert settings.ledger == f"sqlite:///{folder}/state/ledger.db"
        assert "PREFECT_API_URL" not in os.environ
        assert os.environ["PREFECT_HOME"] == f"{folder}/state/prefect"
        monkeypatch.setenv("RETENTION_STORES__EXPORTS__ROOT", str(tmp_path))
        with pytest.raises(Refused, match="leads out"):
            require_inside(load_settings())
        monkeypatch.setenv("RETENTION_STORES__ILS__URL", "postgresql://real.example/evergreen")
        with pytest.raises(Refused, match="not the settings of a demo"):
            require_inside(load_settings())
    assert dict(os.environ) == before


@pytest.mark.parametrize("camera", sorted(CAMERAS))
def test_the_clips_are_real_and_small(camera: str) -> None:
    clip = (files("console.demo") / "clips" / f"{camera}.mp4").read_bytes()
    assert clip[4:12] == b"ftypisom"
    assert b"avc1" in clip
    assert 2000 < len(clip) < 6000


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("prefect")
def test_the_whole_demo_runs_as_a_prefect_flow(tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("retention")),
        "demo",
        "--folder",
        str(tmp_path / "library"),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "yes  Prefect ran 2 flows, all to their end" in ended.stdout
    assert "All 16 facts held." in ended.stdout
    shown = ended.stdout.replace(str(tmp_path), "/srv")
    assert max(map(len, shown.splitlines())) <= 140
    look_again(tmp_path / "library")
