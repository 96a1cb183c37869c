"""Steps 1 to 11 of the choke point, each with what it refuses. Test names carry the step's number."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from retention.errors import Refused, VerificationFailed
from retention.holds import Matter, MatterKind, Scope
from retention.outcomes import Outcome
from retention.permissions import Role
from retention.schedule import ApprovalKind, Limits, Period
from storage.ledger import tables
from storage.ledger.cases import CaseState
from storage.ledger.connection import stamp
from storage.log import Published
from storage.signatures import Signatory
from tests.choke_point.workbench import Workbench
from tests.contract.conftest import Build
from tests.contract.harness import HarnessFactory
from tests.contract.harness_sealed import SealedHarness
from tests.contract.shelf import due, existing, many, shelf
from tests.retention.authenticator import authenticator
from tests.storage.browser import Touching
from tests.storage.desk import given_passkey
from tests.storage.published import begun, ended

MATTER = Matter(number="2025-17", kind=MatterKind.SUBPOENA, issuing_authority="District Court")


def test_step_1_to_10_destroy_what_is_due_and_certify_exactly_that(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = shelf(factory.supports)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness)
    case = bench.opened()
    assert case.items == len(due(seeds))
    disposal = bench.destroyer.dispose(case.id)
    assert existing(harness, seeds) == {one.number for one in seeds} - due(seeds)
    assert disposal.counts == {Outcome.DESTROYED: len(due(seeds))}
    assert disposal.certificate is not None
    assert disposal.case.state is CaseState.CLOSED
    report = bench.verified(disposal.certificate.id)
    assert report.ok, report
    assert bench.ledger.connection.verify_chain() > 0
    bench.close()


def test_step_1_opens_no_case_when_nothing_is_due(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = [one for one in shelf(factory.supports) if one.number not in due(shelf(factory.supports))]
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness)
    planned, case = bench.open()
    assert (planned.due, case) == (0, None)
    assert bench.ledger.cases.list() == []
    assert list((tmp_path / "site" / "cases").iterdir()) == []
    bench.close()


def test_step_2_waits_for_two_different_custodians(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = many(factory.supports, 4)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness, approval_kind=ApprovalKind.TWO_PERSON)
    director, deputy = bench.person("director"), bench.person("deputy")
    operator = bench.person("operator", Role.OPERATOR)
    case = bench.opened()
    for approver in (None, director, director, operator):
        if approver is not None:
            bench.approve(case, approver)
        waiting = bench.destroyer.dispose(case.id)
        assert waiting.waiting
        assert existing(harness, seeds) == due(seeds)
    bench.approve(case, with_passkey(bench, deputy))
    bench.ledger.people.retire_passkey("AAAA", actor="deputy", at=bench.clock())
    done = bench.destroyer.dispose(case.id)
    assert done.counts == {Outcome.DESTROYED: 4}
    assert done.certificate is not None
    report = bench.verified(done.certificate.id)
    assert report.ok
    assert "by own key, passkey, keys" in report.steps[4].detail
    bench.close()


def with_passkey(bench: Workbench, person: Signatory) -> Touching:
    phone = authenticator()
    given_passkey(bench.ledger, person, phone.public, at=bench.clock())
    return Touching(person=person.person, passkey=phone)


@pytest.mark.parametrize("wrong", ["retired before", "somebody else's", "written by hand"])
def test_step_2_a_passkey_that_did_not_sign_for_its_person_then_stops_everything(
    build: Build, factory: HarnessFactory, tmp_path: Path, wrong: str
) -> None:
    seeds = many(factory.supports, 2)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness, approval_kind=ApprovalKind.CUSTODIAN)
    director, deputy = bench.person("director"), bench.person("deputy")
    case = bench.opened()
    signer = with_passkey(bench, deputy)
    if wrong == "written by hand":
        signer = Touching(person=director.person, passkey=authenticator())
        forged = {
            "credential": "BBBB",
            "person": "director",
            "public_key": signer.public.line.removesuffix(" passkey"),
        }
        with bench.ledger.connection.write(bench.clock()) as entry:
            entry.connection.execute(
                insert(tables.passkey).values(label="phone", added_at=stamp(entry.at), **forged)
            )
    elif wrong == "retired before":
        bench.ledger.people.retire_passkey("AAAA", actor="deputy", at=bench.clock())
    else:
        signer = Touching(person=director.person, passkey=signer.passkey)
    bench.approve(case, signer)
    with pytest.raises(VerificationFailed, match="by no key that"):
        bench.destroyer.dispose(case.id)
    assert existing(harness, seeds) == due(seeds)
    bench.close()


def test_step_2_an_approval_is_void_after_a_new_hold(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = many(factory.supports, 4)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness, approval_kind=ApprovalKind.CUSTODIAN)
    director = bench.person("director")
    case = bench.opened()
    bench.approve(case, director)
    bench.enforcing.place(Scope(cameras=frozenset({"a camera that is nowhere"})), MATTER, director)
    assert "no longer count" in bench.destroyer.dispose(case.id).waiting
    assert existing(harness, seeds) == due(seeds)
    bench.approve(case, director)
    assert bench.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: 4}
    bench.close()


def test_step_2_cools_off_before_anything_goes(build: Build, factory: HarnessFactory, tmp_path: Path) -> None:
    seeds = many(factory.supports, 3)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness, cooling_off=Period(days=3))
    case = bench.opened()
    assert "cooling off" in bench.destroyer.dispose(case.id).waiting
    assert existing(harness, seeds) == due(seeds)
    bench.clock.at += timedelta(days=3)
    assert bench.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: 3}
    bench.close()


def test_step_2_a_forged_approval_stops_everything(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = many(factory.supports, 2)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness, approval_kind=ApprovalKind.CUSTODIAN)
    director, stranger = bench.person("director"), bench.person("stranger")
    case = bench.opened()
    forged = type(director)(person=director.person, key=stranger.key)
    bench.approve(case, forged)
    with pytest.raises(VerificationFailed):
        bench.destroyer.dispose(case.id)
    assert existing(harness, seeds) == due(seeds)
    bench.close()


def test_step_3_a_brake_stops_the_case_until_a_custodian_lifts_it(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = many(factory.supports, 5)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness, limits=Limits(records=4, percent=50))
    director = bench.person("director")
    case = bench.opened()
    assert set(case.brakes) == {"records", "percent"}
    bench.approve(case, director, lifts=("records",))
    assert "brake" in bench.destroyer.dispose(case.id).waiting
    assert existing(harness, seeds) == due(seeds)
    bench.approve(case, director, lifts=("records", "percent"))
    assert bench.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: 5}
    bench.close()


def test_step_3_the_kill_switch_stops_everything(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = many(factory.supports, 3)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness)
    case = bench.opened()
    bench.ledger.cases.halt(True, reason="drill", actor="test", at=bench.clock())
    with pytest.raises(Refused, match="kill switch"):
        bench.destroyer.dispose(case.id)
    assert existing(harness, seeds) == due(seeds)
    bench.ledger.cases.halt(False, reason="over", actor="test", at=bench.clock())
    assert bench.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: 3}
    bench.close()


def test_step_3_the_log_says_that_a_case_begins_and_step_10_that_it_ended(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = many(factory.supports, 3)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness)
    case = bench.opened()
    log = tmp_path / "site" / "log"
    there: list[set[int]] = []
    really = bench.certifier._log.publish

    def publish(*, thorough: bool = False) -> Published:
        published = really(thorough=thorough)
        there.append(existing(harness, seeds) if begun(log) and not ended(log) else set())
        return published

    bench.certifier._log.publish = publish  # type: ignore[method-assign]
    bench.destroyer.dispose(case.id)
    assert there[0] == due(seeds), "it stands in the published log, and nothing has gone"
    assert begun(log) == {case.id: case.record_type}
    assert ended(log) == {case.id}
    bench.close()


def test_step_4_a_hold_placed_after_the_survey_keeps_its_records(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = many(factory.supports, 6)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness)
    director = bench.person("director")
    case = bench.opened()
    placed = bench.enforcing.place(Scope(stores=frozenset({case.parts[0].store})), MATTER, director)
    assert placed.stores == (case.parts[0].store,)
    disposal = bench.destroyer.dispose(case.id)
    assert existing(harness, seeds) == due(seeds)
    assert disposal.counts == {Outcome.WITHHELD: 6}
    assert disposal.certificate is None
    bench.close()


def test_step_5_only_shrinks(build: Build, factory: HarnessFactory, tmp_path: Path) -> None:
    seeds = many(factory.supports, 6)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness)
    case = bench.opened()
    harness.change(seeds[1].number)
    harness.remove(seeds[3].number)
    disposal = bench.destroyer.dispose(case.id)
    assert disposal.counts == {Outcome.DESTROYED: 4, Outcome.WITHHELD: 1, Outcome.ALREADY_ABSENT: 1}
    assert disposal.certificate is not None
    assert bench.verified(disposal.certificate.id).ok
    bench.close()


def test_step_10_a_case_ends_once(build: Build, factory: HarnessFactory, tmp_path: Path) -> None:
    seeds = many(factory.supports, 2)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness)
    case = bench.opened()
    bench.destroyer.dispose(case.id)
    with pytest.raises(Refused, match="already ended"):
        bench.destroyer.dispose(case.id)
    assert len(bench.ledger.certificates.list()) == 1
    bench.close()


def test_step_11_a_certificate_becomes_final_when_its_last_window_is_over(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = many(factory.supports, 2)
    harness = build(seeds)
    windows = (("backups", Period(days=35)), ("log", Period(days=7)))
    bench = Workbench.around(tmp_path / "site", harness, residual=windows)
    certificate = bench.destroyer.dispose(bench.opened().id).certificate
    assert certificate is not None
    assert certificate.state == "provisional"
    if isinstance(harness, SealedHarness):
        harness.rotate(bench.clock())
        certificate = bench.certifier.follow_up(certificate, bench.schedule, at=bench.clock(), actor="test")
        assert certificate is not None
        assert certificate.state == "provisional", "it has a date only now"
    bench.clock.at += timedelta(days=35)
    assert bench.certifier.follow_up(certificate, bench.schedule, at=bench.clock(), actor="test") is None
    bench.clock.at += timedelta(days=1)
    final = bench.certifier.follow_up(certificate, bench.schedule, at=bench.clock(), actor="test")
    assert final is not None
    assert bench.verified(final.id).ok
    bench.close()


def test_a_manifest_that_was_altered_destroys_nothing(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = many(factory.supports, 3)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness)
    case = bench.opened()
    manifest = tmp_path / "site" / "cases" / case.id / "part-0.lines"
    manifest.write_bytes(manifest.read_bytes() + manifest.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(VerificationFailed, match="not the one that was frozen"):
        bench.destroyer.dispose(case.id)
    assert existing(harness, seeds) == due(seeds)
    bench.close()


def test_a_second_run_at_the_same_time_is_refused(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = many(factory.supports, 3)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness)
    case = bench.opened()
    bench.ledger.cases.acquire(case.record_type, at=bench.clock())
    with pytest.raises(Refused, match="another run"):
        bench.destroyer.dispose(case.id)
    assert existing(harness, seeds) == due(seeds)
    bench.close()


def test_a_clock_that_was_set_back_stops_everything(
    build: Build, factory: HarnessFactory, tmp_path: Path
) -> None:
    seeds = many(factory.supports, 3)
    harness = build(seeds)
    bench = Workbench.around(tmp_path / "site", harness)
    case = bench.opened()
    bench.clock.at -= timedelta(hours=1)
    with pytest.raises(Refused, match="clock"):
        bench.destroyer.dispose(case.id)
    assert existing(harness, seeds) == due(seeds)
    bench.close()
