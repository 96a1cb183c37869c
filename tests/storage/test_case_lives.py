"""A case stands in the published log before anything of it is destroyed, and its end after: whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retention.errors import Unavailable
from retention.outcomes import Outcome
from storage.ledger.cases import CaseState
from storage.ledger.ledger import Ledger
from storage.ledger.log_entries import EntryKind
from storage.log_places import FolderPlace
from tests.storage.desk import MATTER, person
from tests.storage.published import BEGAN, CERTIFIED, WITHOUT, begun, ended, statements
from tests.storage.site import Site, about


@pytest.fixture
def site(ledger: Ledger, tmp_path: Path) -> Site:
    made = Site(ledger, tmp_path)
    for number in range(5):
        made.add("loan", number)
    return made


def kinds(site: Site) -> list[str]:
    return [kind for kind, _ in statements(site.folder / "log")]


def watched(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What the published log says has begun, at each moment a record goes."""
    seen: list[dict[str, str]] = []
    target = site.targets["ils"]
    really = target.erase

    def erase(*given: Any, **named: Any) -> Any:
        seen.append(begun(site.folder / "log"))
        return really(*given, **named)

    monkeypatch.setattr(target, "erase", erase)
    return seen


def test_the_log_says_that_a_case_begins_before_anything_of_it_goes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watched(site, monkeypatch)
    case = site.opened()
    site.destroyer.dispose(case.id)
    assert seen == [{case.id: "loans"}] * 5
    assert kinds(site) == [BEGAN, CERTIFIED]
    ((_, first), (_, last)) = statements(site.folder / "log")
    assert first["subject"] == [{"name": case.id, "digest": {"sha256": case.manifest_digest}}]
    assert first["predicate"]["started"] <= last["predicate"]["how"]["started"]
    assert set(first["predicate"]) == {
        "case",
        "recordType",
        "scheduleDigest",
        "manifestDigest",
        "on",
        "started",
    }


def test_a_case_that_waits_or_is_stopped_has_not_begun(site: Site) -> None:
    case = site.opened()
    site.ledger.cases.halt(True, reason="drill", actor="test", at=site.clock())
    with pytest.raises(Exception, match="kill switch"):
        site.destroyer.dispose(case.id)
    assert site.ledger.log.find(case.id, EntryKind.CASE_STARTED) is None
    assert kinds(site) == []


def test_without_a_log_that_can_be_written_nothing_is_destroyed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_place: FolderPlace, _name: str, _data: bytes, _before: bytes | None) -> None:
        raise Unavailable("the log cannot be read or written: No space left on device")

    monkeypatch.setattr(FolderPlace, "replace", full)
    case = site.opened()
    with pytest.raises(Unavailable, match="No space left"):
        site.destroyer.dispose(case.id)
    assert len(site.left("loan")) == 5
    assert [entry.subject for entry in site.ledger.log.begun()] == [case.id]
    monkeypatch.undo()
    assert site.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: 5}
    assert kinds(site) == [BEGAN, CERTIFIED], "it began once"


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    "step",
    [
        lambda site: (site.ledger.cases, "begin_destroying"),
        lambda site: (site.certifier._log, "publish"),
        lambda site: (site.ledger.batches, "intend"),
        lambda site: (site.ledger.batches, "conclude"),
        lambda site: (site.ledger.certificates, "issue"),
    ],
    ids=["before the entry", "before its files", "before the first batch", "after it", "before the end"],
)
def test_killed_anywhere_it_begins_once_and_ends_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: Callable[[Site], tuple[Any, str]]
) -> None:
    seen = watched(site, monkeypatch)
    case = site.opened()
    place, name = step(site)

    def killed(*_given: Any, **_named: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(place, name, killed)
        with pytest.raises(Killed):
            site.destroyer.dispose(case.id)
    site.certifier.catch_up(at=site.clock(), actor="test")
    assert (case.id in begun(site.folder / "log")) is (name != "begin_destroying")
    assert ended(site.folder / "log") == set()
    assert site.destroyer.dispose(case.id).certificate is not None
    assert kinds(site) == [BEGAN, CERTIFIED]
    assert all(one == {case.id: "loans"} for one in seen)
    assert site.ledger.log.begun() == []


def test_a_case_that_destroyed_and_was_never_certified_shows_for_good(site: Site) -> None:
    """Whoever forgets to certify on purpose: they stop the run after its last batch, and never run again."""
    case = site.opened()
    site.certifier.certify = lambda *_given, **_named: (_ for _ in ()).throw(Killed)  # type: ignore[method-assign]
    with pytest.raises(Killed):
        site.destroyer.dispose(case.id)
    assert site.left("loan") == []
    assert begun(site.folder / "log") == {case.id: "loans"}
    assert ended(site.folder / "log") == set()
    assert [entry.subject for entry in site.ledger.log.begun()] == [case.id]


def test_a_case_that_destroyed_nothing_ends_in_the_log(site: Site) -> None:
    director = person(site.ledger, "director")
    case = site.opened()
    site.holding.place(about("p-1"), MATTER, director)
    assert site.destroyer.dispose(case.id).counts == {Outcome.WITHHELD: 5}
    assert kinds(site) == [BEGAN, WITHOUT]
    _, (_, last) = statements(site.folder / "log")
    assert (last["predicate"]["ended"], last["predicate"]["withheld"], last["predicate"]["notReached"]) == (
        "closed",
        5,
        0,
    )


def test_a_case_whose_canary_failed_ends_in_the_log(site: Site) -> None:
    case = site.opened()
    site.targets["ils"].faults.stubborn = {f"{number:03}" for number in range(5)}
    assert site.destroyer.dispose(case.id).case.state is CaseState.FAILED
    assert kinds(site) == [BEGAN, WITHOUT]
    _, (_, last) = statements(site.folder / "log")
    told = last["predicate"]
    assert (told["ended"], told["notDestroyed"], told["notReached"]) == ("failed", 1, 4)


def test_a_case_that_began_and_was_sent_back_ends_in_the_log_with_the_next_run(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = site.opened()
    with monkeypatch.context() as patch:
        patch.setattr(site.ledger.batches, "intend", lambda *_given, **_named: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            site.destroyer.dispose(case.id)
    site.ledger.cases.close(case.id, CaseState.RETURNED, actor="director", at=site.clock(), body={})
    for _ in range(2):
        site.certifier.catch_up(at=site.clock(), actor="test")
        assert kinds(site) == [BEGAN, WITHOUT]
    _, (_, last) = statements(site.folder / "log")
    told = last["predicate"]
    assert (told["ended"], told["items"], told["notReached"]) == ("returned", 5, 5)
    assert site.ledger.log.begun() == []


def test_a_case_that_was_sent_back_before_it_began_is_not_in_the_log(site: Site) -> None:
    case = site.opened()
    site.ledger.cases.close(case.id, CaseState.RETURNED, actor="director", at=site.clock(), body={})
    site.certifier.catch_up(at=site.clock(), actor="test")
    assert kinds(site) == []


def test_a_case_cleared_by_an_earlier_version_begins_when_it_goes_on(site: Site) -> None:
    case = site.opened()
    site.ledger.cases.begin_destroying(case, cleared_by=(), actor="test", at=site.clock())
    site.destroyer.dispose(case.id)
    assert kinds(site) == [BEGAN, CERTIFIED]
