"""The keeper, as a process: it makes effective what was only written down, whatever is down meanwhile, and ends when told."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from flows.answering import CASE_NAMED, CASE_SAMPLE, HOLD_PREVIEW
from flows.keeping import UNSIGNED
from flows.running import Silent, begin
from flows.wiring import Site
from retention.errors import UsageError
from retention.holds import HoldState, Matter, MatterKind, Scope
from retention.permissions import Role
from retention.records import Personal
from storage.files import vault
from storage.ledger.drafts import LIVES, DraftKind
from storage.ledger.holds import HoldFile, scope_to_json
from storage.ledger.questions import Question
from tests.reliability.site import CANARY, LOAN, TestSite, build, patron
from tests.storage.desk import person

MATTER = Matter(number="2026-18", kind=MatterKind.WARRANT, issuing_authority="District Court")
PATIENCE = 30.0


@pytest.fixture
def made(tmp_path: Path) -> TestSite:
    return build(tmp_path, f"sqlite:///{tmp_path / 'ils.db'}", loans=200, files=20, patrons=10)


@pytest.fixture
def site(made: TestSite) -> Iterator[Site]:
    site = made.site()
    yield site
    site.close()


@contextmanager
def keeper(made: TestSite) -> Iterator[subprocess.Popen[bytes]]:
    process = made.start("serve", "holds")
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)


def until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)


def written_down(site: Site, scope: Scope | None = None, *, sealed: bool = False) -> HoldFile:
    scope = scope or Scope(subjects=frozenset({Personal(patron(3))}))
    return site.holding.place(scope, MATTER, site.signatory("director"), sealed=sealed)


def state(site: Site, file: HoldFile) -> HoldState:
    return site.ledger.holds.get(file.id).state


def test_a_hold_that_was_only_written_down_becomes_effective(made: TestSite, site: Site) -> None:
    before = written_down(site)
    with keeper(made):
        after = written_down(site)
        until(lambda: state(site, before) is state(site, after) is HoldState.PROVISIONAL)
    assert [event.actor for event in site.ledger.events(subject=after.id)] == ["keeper", "director"]


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_the_keeper_ends_promptly_when_told(made: TestSite, site: Site, told: signal.Signals) -> None:
    with keeper(made) as process:
        file = written_down(site)
        until(lambda: state(site, file) is HoldState.PROVISIONAL)
        process.send_signal(told)
        assert process.wait(3) == 0


def test_a_store_that_is_down_costs_no_hold_and_keeps_no_other_waiting(made: TestSite, site: Site) -> None:
    files, away = made.folder / "files", made.folder / "unmounted"
    files.rename(away)
    with keeper(made):
        waits = [written_down(site, Scope(record_types=frozenset({"exports"}))) for _ in range(6)]
        other = written_down(site, Scope(record_types=frozenset({"loans"})))
        until(lambda: state(site, other) is HoldState.PROVISIONAL)
        assert {state(site, file) for file in waits} == {HoldState.PLACING}
        assert {file.id for file in waits} <= {hold.id for hold in site.ledger.holds.in_force().holds}
        away.rename(files)
        until(lambda: {state(site, file) for file in waits} == {HoldState.PROVISIONAL})


def test_trouble_with_a_sealed_hold_is_told_to_nobody(made: TestSite, site: Site) -> None:
    (made.folder / "files").rename(made.folder / "unmounted")
    exports = Scope(record_types=frozenset({"exports"}))
    with keeper(made):
        sealed = written_down(site, exports, sealed=True)
        time.sleep(1.5)
        assert "exports" not in output(made)
        assert sealed.id not in output(made)
        open_one = written_down(site, exports)
        until(lambda: open_one.id in output(made))
    assert sealed.id not in output(made)
    assert CANARY not in output(made)


def output(made: TestSite) -> str:
    return (made.folder / "output").read_text()


def test_a_keeper_follows_a_schedule_that_was_replaced(made: TestSite, site: Site) -> None:
    policies = made.folder / "policies.toml"
    whole = policies.read_text()
    with keeper(made):
        first = written_down(site)
        until(lambda: state(site, first) is HoldState.PROVISIONAL)
        policies.write_text(whole.replace('version = "test"', "version ="))
        second = written_down(site)
        time.sleep(1)
        assert state(site, second) is HoldState.PLACING, "which stores are in scope is not known"
        policies.write_text(whole)
        until(lambda: state(site, second) is HoldState.PROVISIONAL)


def test_rows_under_a_hold_are_copied_and_what_was_edited_since_is_copied_again(
    made: TestSite, site: Site
) -> None:
    policies = made.folder / "policies.toml"
    policies.write_text(policies.read_text().replace('table = "loan"', 'table = "loan"\nvault = "exports"'))
    vault.make(made.folder / "files", "ils/loans/loans")
    copies = made.folder / "files" / "ils" / "loans" / "loans"
    with keeper(made):
        written_down(site)
        until(lambda: len([*copies.rglob("*.jsonl")]) == 20)
        with made.engine.begin() as connection:
            (first,) = connection.execute(select(func.min(LOAN.c.id)).where(LOAN.c.patron == patron(3))).one()
            connection.execute(update(LOAN).where(LOAN.c.id == first).values(note="edited"))
        sealed = written_down(site, sealed=True)
        until(lambda: len([*copies.rglob("*.jsonl")]) == 21)
    names = "".join(str(path) for path in (made.folder / "files").rglob("*"))
    assert sealed.id not in names
    assert patron(3) not in names


# Questions.


def answered(site: Site, id: str, who: str) -> Question:
    until(lambda: site.ledger.questions.find(id, person=who, at=site.now()).answer is not None)
    return site.ledger.questions.find(id, person=who, at=site.now())


def asked(site: Site, kind: str, who: str, **body: object) -> str:
    return site.ledger.questions.ask(kind, body, person=who, at=site.now())


def test_a_page_learns_what_a_hold_would_keep_and_stop(made: TestSite, site: Site) -> None:
    (loans,) = [one for one in site.schedule.record_types if one.id == "loans"]
    begin(site, loans, site.today(), Silent())
    scope = Scope(record_types=frozenset({"loans"}), subjects=frozenset({Personal(patron(3))}))
    with keeper(made):
        reply = answered(
            site, asked(site, HOLD_PREVIEW, "director", scope=scope_to_json(scope)), "director"
        ).answer
        senseless = asked(site, HOLD_PREVIEW, "director", scope=scope_to_json(Scope()))
        refused = answered(site, senseless, "director").answer
    kept = {"record_type": "loans", "kept": 20, "oldest": "2026-01-01", "newest": "2026-01-01"}
    assert reply == {
        "keeps": 20, "cases": 1, "record_types": [kept], "places": [{**kept, "location": "loans", "store": "ils", "of": 200}],
    }  # fmt: skip
    assert refused is not None
    assert "empty scope" in refused["error"]
    assert site.ledger.holds.list() == []


def test_a_page_is_shown_a_sample_of_a_case_that_its_person_may_decide_on(made: TestSite, site: Site) -> None:
    (loans,) = [one for one in site.schedule.record_types if one.id == "loans"]
    _, case = begin(site, loans, site.today(), Silent())
    assert case is not None
    person(site.ledger, "auditor", Role.AUDITOR, at=site.now())
    with keeper(made):
        reply = answered(site, asked(site, CASE_SAMPLE, "director", case=case.id), "director").answer
        refused = answered(site, asked(site, CASE_SAMPLE, "auditor", case=case.id), "auditor").answer
        named = answered(
            site, asked(site, CASE_NAMED, "director", case=case.id, references=["1", "nobody"]), "director"
        ).answer
        unknown = answered(site, asked(site, "what else", "director"), "director").answer
    assert reply is not None
    assert (reply["of"], len(reply["items"])) == (case.items, 20)
    assert reply["items"][0] == {
        "ordinal": 0, "location": "loans", "key": "1", "there": True, "date": "2026-01-01T12:00:01", "branch": None,
    }  # fmt: skip
    assert [item["ordinal"] for item in reply["items"]] == [n * case.items // 20 for n in range(20)]
    assert named is not None
    assert named["items"] == reply["items"][:1]
    assert refused is not None
    assert set(refused) == {"error", "hint"}
    assert unknown is not None
    assert "error" in unknown


def test_a_question_is_its_persons_own_and_gone_after_an_hour(made: TestSite, site: Site) -> None:
    questions, now = site.ledger.questions, site.now()
    scope = scope_to_json(Scope(subjects=frozenset({Personal(patron(3))})))
    id = questions.ask(HOLD_PREVIEW, {"scope": scope}, person="director", at=now)
    with pytest.raises(UsageError, match="no such question"):
        questions.find(id, person="deputy", at=now)
    assert CANARY.encode() not in b"".join(
        path.read_bytes() for path in (made.folder / "state").glob("ledger.db*")
    )
    questions.answer(id, {"keeps": 1}, at=now)
    questions.answer(id, {"keeps": 2}, at=now)
    assert questions.find(id, person="director", at=now).answer == {"keeps": 1}
    later = now + timedelta(hours=1)
    with pytest.raises(UsageError, match="any more"):
        questions.find(id, person="director", at=later)
    assert questions.expire(at=later - timedelta(seconds=1)) == 0
    assert questions.expire(at=later) == 1
    assert made.count("question") == 0


def test_asking_again_takes_away_what_is_too_old_where_no_keeper_runs(made: TestSite, site: Site) -> None:
    questions, now = site.ledger.questions, site.now()
    questions.ask(HOLD_PREVIEW, {}, person="director", at=now - timedelta(hours=1))
    young = questions.ask(HOLD_PREVIEW, {}, person="deputy", at=now - timedelta(minutes=59))
    last = questions.ask(HOLD_PREVIEW, {}, person="director", at=now)
    assert {one.id for one in questions.waiting()} == {young, last}


def test_the_keeper_takes_away_forms_and_questions_that_are_too_old(made: TestSite, site: Site) -> None:
    now = site.now()
    for kind, life in LIVES.items():
        site.ledger.drafts.keep("director", kind, {"subjects": patron(3)}, now - life)
    young = site.ledger.drafts.keep("director", DraftKind.TYPED, {}, now - timedelta(hours=23))
    assert made.count("draft") == len(LIVES) + 1
    with keeper(made):
        until(lambda: made.count("draft") == 1)
    assert site.ledger.drafts.get(young, "director", DraftKind.TYPED, now) is not None


# Documents.


def aged(made: TestSite, by: timedelta) -> None:
    for path in (made.folder / "state" / "documents").iterdir():
        at = time.time() - by.total_seconds()
        os.utime(path, (at, at))


def test_a_document_that_no_hold_came_to_have_goes_and_no_other(made: TestSite, site: Site) -> None:
    documents, director = site.documents, site.signatory("director")
    contents = [f"%PDF {CANARY} {number}".encode() for number in range(6)]
    first, second, letter, given_again, refused, young = (documents.keep(content) for content in contents)
    scope = Scope(subjects=frozenset({Personal(patron(3))}))
    file = site.holding.place(scope, replace(MATTER, document_digest=first), director)
    action = replace(file.actions[0], action="widen", document_digest=letter)
    revised = replace(file, matter=replace(MATTER, document_digest=second))
    site.ledger.holds.move(
        file, to=file.state, actor="director", at=site.now(), action=action, revised=revised
    )
    assert site.ledger.holds.documents() == {first, second, letter}
    aged(made, UNSIGNED + timedelta(minutes=1))
    documents.keep(contents[3])
    site.documents.keep(contents[5])
    with keeper(made):
        until(lambda: len(list((made.folder / "state" / "documents").iterdir())) == 5)
    for digest in (first, second, letter, given_again, young):
        assert documents.open(digest)
    with pytest.raises(UsageError, match="not kept here"):
        documents.open(refused)


def test_while_everything_is_stopped_no_document_goes(made: TestSite, site: Site) -> None:
    """A ledger that was restored has forgotten holds: their papers are what they are placed from again."""
    lost = site.documents.keep(b"%PDF of a hold after the backup")
    aged(made, UNSIGNED + timedelta(minutes=1))
    site.ledger.cases.halt(True, reason="ledger restored", actor="director", at=site.now())
    with keeper(made):
        file = written_down(site)
        until(lambda: state(site, file) is HoldState.PROVISIONAL)
        time.sleep(1)
    assert site.documents.open(lost)
