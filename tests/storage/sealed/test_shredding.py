"""The whole way of sealed records: their key dies in the choke point, the root is replaced, and only then is anything final."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest

from retention.decide import Due, Keep, KeepReason, decide
from retention.errors import Refused, StoreUnavailable
from retention.leaves import leaf, salts
from retention.outcomes import Outcome
from storage.ledger.cases import CaseState
from storage.ledger.certificates import Certificate
from storage.sealed.remembering import accept, remembered
from tests.storage.desk import MATTER, Clock, person
from tests.storage.sealed.vault import Vault, destroyed, everything_said, on_camera


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = Vault(tmp_path)
    yield made
    made.close()


def test_a_period_that_is_over_dies_with_one_key_and_the_next_one_lives(vault: Vault) -> None:
    old = [vault.seal(number, days=40 + number / 1000) for number in range(5)]
    older = [vault.seal(number, days=50) for number in range(3)]
    young = [vault.seal(number, days=10) for number in range(4)]
    planned, case = vault.plan()
    assert case is not None
    assert (planned.due, planned.records, planned.population) == (2, 8, 12)
    assert planned.kept == {KeepReason.NOT_YET: 4}
    disposal = vault.destroyer.dispose(case.id)
    assert disposal.counts == {Outcome.DESTROYED: 2}
    assert not any(vault.opens(id) for id in (*old, *older))
    assert all(vault.opens(id) for id in young)


def test_a_certificate_is_provisional_without_a_date_until_the_root_is_replaced_and_final_after(
    vault: Vault,
) -> None:
    for number in range(5):
        vault.seal(number, days=40)
    disposal = vault.night()
    provisional = disposal.certificate
    assert provisional is not None
    assert (provisional.state, provisional.final_from) == ("provisional", None)
    assert vault.verified(provisional).ok
    said = vault.predicate(provisional)
    assert said["summary"]["irrecoverableFrom"] is None
    assert (said["summary"]["objects"], said["summary"]["size"], said["summary"]["seconds"]) == (
        5,
        5000,
        1500,
    )
    assert vault.follow_up(provisional) is None
    assert vault.rotate()
    final = vault.follow_up(provisional)
    assert final is not None
    assert (final.state, final.id) == ("final", provisional.id.removesuffix("1") + "2")
    assert vault.verified(final).ok
    told = vault.predicate(final)
    assert told["identity"]["supersedes"] == provisional.id
    assert told["summary"]["method"] == "clear"
    assert told["how"]["keysDestroyed"] == said["how"]["keysDestroyed"]
    assert told["summary"]["irrecoverableFrom"] is not None
    assert vault.follow_up(final) is None
    assert vault.follow_up(provisional) is None


def test_declared_backups_of_the_store_count_as_well(tmp_path: Path) -> None:
    vault = Vault(tmp_path, residual='residual = { snapshots = "P30D" }')
    vault.seal(1, days=40)
    provisional = vault.night().certificate
    assert provisional is not None
    vault.rotate()
    dated = vault.follow_up(provisional)
    assert dated is not None
    assert (dated.state, dated.final_from) == ("provisional", vault.clock.at.date() + timedelta(days=31))
    assert vault.follow_up(dated) is None
    vault.clock.at += timedelta(days=31)
    final = vault.follow_up(dated)
    assert final is not None
    assert (final.state, final.id[-2:]) == ("final", "-3")
    assert vault.verified(final).ok
    vault.close()


def test_each_leaf_commits_to_the_key_that_died(vault: Vault) -> None:
    id = vault.seal(1, days=40)
    cohort = vault.keys.object(id).cohort
    assert cohort is not None
    case = vault.case()
    key = vault.spool.evidence_key(case.id)
    certificate = vault.destroyer.dispose(case.id).certificate
    assert certificate is not None
    (kid,) = vault.predicate(certificate)["how"]["keysDestroyed"]
    made = leaf(salts(key, 0, 1), f"cameras/clips/{cohort}", Outcome.DESTROYED, kid)
    assert made == (vault.folder / "evidence" / f"{certificate.id}.leaves").read_bytes()


def test_what_had_been_unencrypted_is_counted_and_claims_nothing(vault: Vault) -> None:
    vault.seal(1, days=40)
    vault.seal(2, days=40, plaintext_since=vault.clock.at - timedelta(days=40))
    certificate = vault.night().certificate
    assert certificate is not None
    said = vault.predicate(certificate)
    (place,) = said["what"]["locations"]
    assert (place["objects"], place["unsealedBefore"], said["summary"]["method"]) == (2, 1, "none-claimed")
    assert "1 of these objects had been stored unencrypted" in " ".join(said["sentences"])


def test_limits_count_records_and_not_keys(tmp_path: Path) -> None:
    vault = Vault(tmp_path, records=3)
    for number in range(4):
        vault.seal(number, days=40)
    planned, case = vault.plan()
    assert case is not None
    assert (planned.due, case.records, dict(planned.brakes)) == (
        1,
        4,
        {"records": "4 records are more than the limit of 3"},
    )
    assert vault.destroyer.dispose(case.id).waiting
    vault.close()


def test_files_that_are_not_sealed_are_told_and_left_alone(vault: Vault) -> None:
    vault.seal(1, days=40)
    plain = vault.files / "door" / "20200101-120000.mp4"
    plain.write_bytes(b"unsealed")
    planned, case = vault.plan()
    assert case is not None
    (finding,) = [finding for finding in planned.findings if "not sealed" in finding.message]
    assert (finding.count, finding.fatal, "retention seal" in finding.hint) == (1, False, True)
    assert vault.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: 1}
    assert plain.exists()


# What must not go


def test_a_cohort_that_grew_after_the_survey_is_withheld(vault: Vault) -> None:
    first = vault.seal(1, days=40)
    case = vault.case()
    second = vault.seal(2, days=40)
    assert vault.destroyer.dispose(case.id).counts == {Outcome.WITHHELD: 1}
    assert vault.opens(first)
    assert vault.opens(second)
    assert destroyed(vault.night()) == 1


def test_an_object_that_is_still_being_sealed_dies_with_its_cohort_and_cannot_be_finished(
    vault: Vault,
) -> None:
    from retention.errors import KeyDestroyed
    from retention.records import Span
    from storage.keys.values import Facts

    vault.seal(1, days=40)
    trigger = (vault.clock.at - timedelta(days=40)).replace(microsecond=0)
    facts = Facts(
        record_type="clips",
        location="clips",
        store="cameras",
        trigger=trigger,
        span=Span(start=None, end=None),
    )
    new = vault.keys.begin_sealing(facts, period=trigger.date().isoformat(), at=vault.clock())
    new.key.wipe()
    assert destroyed(vault.night()) == 1
    with pytest.raises(KeyDestroyed):
        vault.keys.finish_sealing(new.id, sealed_size=1, digest="0" * 64, at=vault.clock())


def test_what_a_hold_covers_leaves_its_cohort_and_always_opens_while_the_matter_lives(vault: Vault) -> None:
    amara, boris = person(vault.ledger, "amara"), person(vault.ledger, "boris")
    held = [vault.seal(number, days=40, camera="stacks") for number in range(2)]
    free = [vault.seal(number, days=40, camera="door") for number in range(3)]
    hold = vault.enforcing.place(on_camera("stacks"), MATTER, amara).file
    planned, case = vault.plan()
    assert case is not None
    assert (planned.records, planned.kept) == (3, {KeepReason.HELD: 2})
    assert vault.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: 1}
    assert [vault.opens(id) for id in (*held, *free)] == [True, True, False, False, False]
    vault.rotate()
    vault.rotate()
    assert all(vault.opens(id) for id in held)
    vault.holding.confirm(hold.id, boris)
    vault.holding.request_release(hold.id, amara, b"released")
    vault.holding.approve_release(hold.id, boris, timedelta(days=1))
    vault.clock.at += timedelta(days=2)
    vault.holding.end_grace(actor="test")
    assert vault.plan()[1] is None, "it is let go of before the next run, not by the survey"
    assert vault.enforcing.preserve() == []
    disposal = vault.night()
    assert disposal.counts == {Outcome.DESTROYED: 1}
    assert not any(vault.opens(id) for id in held)
    assert disposal.certificate is not None
    vault.rotate()
    final = vault.follow_up(disposal.certificate)
    assert final is not None
    assert final.state == "final"


def test_a_hold_placed_after_the_survey_keeps_what_it_covers_and_no_more(vault: Vault) -> None:
    amara = person(vault.ledger, "amara")
    held, free = vault.seal(1, days=40, camera="stacks"), vault.seal(2, days=50, camera="door")
    case = vault.case()
    vault.enforcing.place(on_camera("stacks"), MATTER, amara)
    assert vault.destroyer.dispose(case.id).counts == {Outcome.WITHHELD: 1, Outcome.DESTROYED: 1}
    assert (vault.opens(held), vault.opens(free)) == (True, False)


def test_a_hold_that_could_not_be_pushed_down_keeps_everything_it_might_cover(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    amara = person(vault.ledger, "amara")
    clips = [vault.seal(1, days=40, camera="stacks"), vault.seal(2, days=50, camera="door")]
    case = vault.case()
    (root,) = (vault.folder / "roots").iterdir()
    root.rename(vault.folder / "aside")
    with pytest.raises(StoreUnavailable, match="is written down and keeps"):
        vault.enforcing.place(on_camera("stacks"), MATTER, amara)
    assert vault.destroyer.dispose(case.id).counts == {Outcome.WITHHELD: 2}
    assert vault.plan()[1] is None
    (vault.folder / "aside").rename(root)
    assert all(vault.opens(id) for id in clips)
    (hold,) = vault.ledger.holds.list()
    vault.enforcing.resume(hold.id, actor="amara")
    assert destroyed(vault.night()) == 1
    assert [vault.opens(id) for id in clips] == [True, False]


def test_a_clip_sealed_after_the_hold_was_placed_is_kept_with_its_cohort_until_the_hold_has_looked(
    vault: Vault,
) -> None:
    amara = person(vault.ledger, "amara")
    vault.seal(1, days=40)
    vault.enforcing.place(on_camera("stacks"), MATTER, amara)
    late = vault.seal(2, days=40, camera="stacks")
    assert vault.plan()[1] is None
    vault.enforcing.preserve()
    assert destroyed(vault.night()) == 1
    assert vault.opens(late)


def test_one_object_is_explained_as_the_destroyer_sees_it(vault: Vault) -> None:
    amara = person(vault.ledger, "amara")
    due, held = vault.seal(1, days=40), vault.seal(2, days=50, camera="stacks")
    vault.enforcing.place(on_camera("stacks"), MATTER, amara)
    holds = vault.ledger.holds.in_force().touching("clips", "cameras")
    records = [vault.store.read(vault.criteria, id) for id in (due, held)]
    assert None not in records
    first, second = (decide(record, vault.criteria, holds) for record in records if record is not None)
    assert isinstance(first, Due)
    assert isinstance(second, Keep)
    assert second.primary is KeepReason.HELD
    assert vault.store.read(vault.criteria, "0" * 16) is None


# Withdrawn early


def test_a_withdrawn_object_goes_alone_before_its_minimum_and_the_certificate_says_so(vault: Vault) -> None:
    withdrawn, other = vault.seal(1, days=3), vault.seal(2, days=3)
    vault.keys.withdraw(withdrawn, reason="consent withdrawn", at=vault.clock())
    planned, case = vault.plan()
    assert case is not None
    assert (planned.records, planned.population, planned.kept) == (1, 2, {KeepReason.NOT_YET: 1})
    certificate = vault.destroyer.dispose(case.id).certificate
    assert certificate is not None
    assert (vault.opens(withdrawn), vault.opens(other)) == (False, True)
    assert vault.predicate(certificate)["authority"]["withdrawn"] == 1
    assert "except 1 withdrawn early by name" in vault.predicate(certificate)["sentences"][0]
    vault.rotate()
    assert vault.opens(other)
    final = vault.follow_up(certificate)
    assert final is not None
    assert final.state == "final"


def test_a_withdrawn_object_of_a_cohort_that_is_due_goes_with_it(vault: Vault) -> None:
    ids = [vault.seal(number, days=40) for number in range(2)]
    vault.keys.withdraw(ids[0], reason="consent withdrawn", at=vault.clock())
    planned, _ = vault.plan()
    assert (planned.due, planned.records, planned.population) == (1, 2, 2)


def test_a_hold_keeps_what_was_withdrawn(vault: Vault) -> None:
    amara = person(vault.ledger, "amara")
    withdrawn = vault.seal(1, days=3, camera="stacks")
    vault.keys.withdraw(withdrawn, reason="consent withdrawn", at=vault.clock())
    case = vault.case()
    vault.enforcing.place(on_camera("stacks"), MATTER, amara)
    assert vault.destroyer.dispose(case.id).counts == {Outcome.WITHHELD: 1}
    planned, nothing = vault.plan()
    assert (nothing, planned.kept) == (None, {KeepReason.HELD: 1})
    assert vault.opens(withdrawn)


# Ciphertext


def test_ciphertext_goes_after_its_key_and_no_other_file_does(vault: Vault) -> None:
    dead, living = vault.seal(1, days=40), vault.seal(2, days=3)
    stranger = vault.files / "door" / "20200101-120000.mp4.ffffffffffffffff.sealed"
    stranger.write_bytes(b"whose?")
    vault.night()
    assert vault.ciphertext(dead)
    assert vault.destroyer.clear_ciphertext(vault.schedule, vault.clock.at.date()) == 1
    assert [vault.ciphertext(id) for id in (dead, living)] == [False, True]
    assert stranger.exists()
    assert vault.destroyer.clear_ciphertext(vault.schedule, vault.clock.at.date()) == 0


def test_the_kill_switch_stops_the_removal_of_ciphertext(vault: Vault) -> None:
    vault.seal(1, days=40)
    vault.night()
    vault.ledger.cases.halt(True, reason="disk alarm", actor="amara", at=vault.clock())
    with pytest.raises(Refused):
        vault.destroyer.clear_ciphertext(vault.schedule, vault.clock.at.date())


# Restored


def test_an_older_key_store_is_refused_until_somebody_accepts_it_and_its_certificates_are_superseded(
    vault: Vault,
) -> None:
    clip = vault.seal(1, days=40)
    vault.save("monday")
    certificate = vault.night().certificate
    assert certificate is not None
    vault.rotate()
    final = vault.follow_up(certificate)
    assert final is not None
    assert final.state == "final"
    vault.bring_back("monday")
    for act in (
        vault.plan,
        lambda: vault.store.preserve(vault.criteria, ()),
        lambda: vault.destroyer.clear_ciphertext(vault.schedule, vault.clock.at.date()),
    ):
        with pytest.raises(StoreUnavailable, match="older") as raised:
            act()
        assert raised.value.exit_code == 7
    superseded = vault.follow_up(final)
    assert superseded is not None
    assert superseded.state == "superseded"
    said = vault.predicate(superseded)
    assert (said["identity"]["supersedes"], "restored" in said["identity"]["reason"]) == (final.id, True)
    assert vault.verified(superseded).ok
    assert vault.follow_up(superseded) is None
    accept(vault.ledger, vault.keys.epoch(), "no newer backup", actor="amara", at=vault.clock())
    assert remembered(vault.ledger) == vault.keys.epoch()
    again = vault.night()
    assert again.counts == {Outcome.DESTROYED: 1}
    assert not vault.opens(clip)


def test_a_key_store_that_was_saved_after_the_case_is_taken(vault: Vault) -> None:
    vault.seal(1, days=40)
    certificate = vault.night().certificate
    vault.rotate()
    vault.save("tuesday")
    vault.bring_back("tuesday")
    assert certificate is not None
    final = vault.follow_up(certificate)
    assert final is not None
    assert final.state == "final"


# A root in a KMS


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Vault]:
    clock = Clock()
    made = Vault(tmp_path, clock=clock, kms=lambda: clock.at)
    yield made
    made.close()


def rotated(vault: Vault) -> tuple[Certificate, Certificate]:
    """The certificate of a case, and the one that follows when the root has been scheduled for deletion."""
    vault.seal(1, days=40)
    first = vault.night().certificate
    assert first is not None
    vault.rotate()
    dated = vault.follow_up(first)
    assert dated is not None
    return first, dated


def test_with_a_kms_a_certificate_has_a_date_first_and_is_final_when_the_root_is_gone(cloud: Vault) -> None:
    first, dated = rotated(cloud)
    assert (first.final_from, dated.state) == (None, "provisional")
    assert dated.final_from is not None
    assert timedelta(days=7) <= dated.final_from - cloud.clock.at.date() <= timedelta(days=9)
    assert cloud.follow_up(dated) is None
    cloud.clock.at += timedelta(days=10)
    cloud.rotate()
    final = cloud.follow_up(dated)
    assert final is not None
    assert final.state == "final"
    assert cloud.predicate(final)["summary"]["method"] == "cryptographic-erase"
    assert cloud.verified(final).ok


def test_a_cancelled_deletion_supersedes_the_certificate_that_gave_its_date(cloud: Vault) -> None:
    _, dated = rotated(cloud)
    assert cloud.kms is not None
    (doomed,) = [arn for arn, key in cloud.kms.keys.items() if key.state == "PendingDeletion"]
    cloud.clock.at += timedelta(days=3)
    cloud.kms.cancel_deletion(doomed)
    cloud.clock.at += timedelta(days=2)
    cloud.rotate()
    superseded = cloud.follow_up(dated)
    assert superseded is not None
    said = cloud.predicate(superseded)
    assert (superseded.state, said["identity"]["supersedes"]) == ("superseded", dated.id)
    assert "cancelled" in said["identity"]["reason"]
    assert said["summary"]["irrecoverableFrom"] is None
    assert cloud.verified(superseded).ok
    again = cloud.follow_up(superseded)
    assert again is not None
    assert again.state == "provisional"
    assert again.final_from is not None
    assert dated.final_from is not None
    assert again.final_from > dated.final_from
    cloud.clock.at += timedelta(days=12)
    cloud.rotate()
    final = cloud.follow_up(again)
    assert final is not None
    assert (final.state, final.id[-2:]) == ("final", "-5")


# A key store on a server


@pytest.mark.postgresql
def test_a_key_store_on_postgresql_is_the_gate_and_the_witness_as_well(
    tmp_path: Path, postgresql_url: str
) -> None:
    vault = Vault(tmp_path, keys_url=postgresql_url)
    amara = person(vault.ledger, "amara")
    held, free, young = (
        vault.seal(number, days=days, camera=camera)
        for number, (days, camera) in enumerate(((40, "stacks"), (40, "door"), (3, "door")))
    )
    case = vault.case()
    with ThreadPoolExecutor(1) as beside:
        with vault.store.batch(vault.criteria):
            placing = beside.submit(vault.enforcing.place, on_camera("stacks"), MATTER, amara)
            time.sleep(0.3)
            assert not placing.done(), "placing waits for the batch in flight"
        placing.result(30)
    assert vault.destroyer.dispose(case.id).counts == {Outcome.DESTROYED: 1}
    certificate = vault.ledger.certificates.get(case.id)
    assert [vault.opens(id) for id in (held, free, young)] == [True, False, True]
    vault.rotate()
    final = vault.follow_up(certificate)
    assert final is not None
    assert final.state == "final"
    assert [vault.opens(id) for id in (held, young)] == [True, True]
    vault.close()


# Evidence holds nothing


def test_no_key_and_nothing_personal_stands_in_the_ledger_or_the_evidence(vault: Vault) -> None:
    from retention.holds import Scope
    from retention.records import Personal

    amara = person(vault.ledger, "amara")
    ids = [vault.seal(number, days=40, camera="zqcanary-camera") for number in range(2)]
    keys = [bytes(vault.keys.key_of(id).reveal()) for id in ids]
    vault.enforcing.place(
        Scope(cameras=frozenset({"zqcanary-other"}), subjects=frozenset({Personal("zqcanary-patron")})), MATTER, amara
    )  # fmt: skip
    disposal = vault.night()
    assert disposal.certificate is not None
    vault.rotate()
    vault.follow_up(disposal.certificate)
    said = everything_said(vault)
    assert disposal.case.id.encode() in said, "the search does find what is there"
    for key in keys:
        assert key not in said
        assert key.hex().encode() not in said
    assert b"zqcanary" not in said
    assert not [id for id in ids if id.encode() in said], (
        "not even the ids of objects that went with their cohort"
    )
    assert disposal.case.state is CaseState.CLOSED
    assert vault.criteria.on == date(2025, 6, 2)
