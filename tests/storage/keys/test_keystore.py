"""Sealing, opening, destroying and asking, on both engines."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from datetime import date, timedelta

import pytest

from retention.errors import (
    KeyDestroyed,
    KeyStoreUnavailable,
    KeyUnreadable,
    Refused,
    UsageError,
)
from retention.outcomes import Fate, Presence
from storage.keys.secret import SecretKey
from storage.keys.values import ObjectState
from tests.storage.keys.vault import NAME, NOW, OTHER_PLACE, PLACE, RECORD_TYPE, STORE, Vault, facts


def test_a_sealed_object_opens_with_the_key_it_was_sealed_with(vault: Vault) -> None:
    made = vault.seal()
    vault.reopen()
    with vault.store.key_of(made.id) as key:
        assert key.reveal() == made.key.reveal()
        assert key.kid == made.kid


def test_an_object_counts_in_its_cohort_only_when_it_is_finished(vault: Vault) -> None:
    made = vault.store.begin_sealing(facts(1), period="2025-01", at=vault.now())
    assert vault.store.cohorts(RECORD_TYPE, PLACE) == []
    assert vault.store.object(made.id).state is ObjectState.SEALING
    vault.store.finish_sealing(made.id, sealed_size=42, digest="cd" * 32, at=vault.now())
    cohort = vault.store.cohorts(RECORD_TYPE, PLACE)[0]
    found = vault.store.object(made.id)
    assert (cohort.objects, cohort.last_seq, found.sealed_size, found.digest) == (1, found.seq, 42, "cd" * 32)


def test_a_cohort_remembers_first_and_last_trigger_sizes_and_what_was_plaintext(vault: Vault) -> None:
    for number, since in ((9, None), (3, NOW), (12, None)):
        vault.seal(number, size=100, seconds=2.5, plaintext_since=since)
    cohort = vault.store.cohorts(RECORD_TYPE, PLACE)[0]
    assert (cohort.trigger_first, cohort.trigger_last) == (date(2025, 1, 3), date(2025, 1, 12))
    assert (cohort.objects, cohort.size, cohort.seconds, cohort.unsealed_before) == (3, 300, 7.5, 1)
    assert (cohort.period, cohort.store) == ("2025-01", STORE)


@pytest.mark.parametrize(
    "trigger", [date(2025, 3, 1), NOW.replace(tzinfo=None, microsecond=5), NOW], ids=["day", "naive", "aware"]
)
def test_a_trigger_comes_back_as_it_was_given(vault: Vault, trigger: date) -> None:
    made = vault.seal(trigger=trigger)
    assert vault.store.object(made.id).trigger == trigger
    assert type(vault.store.object(made.id).trigger) is type(trigger)


def test_each_location_and_period_has_a_cohort_of_its_own(vault: Vault) -> None:
    vault.seal(period="2025-01")
    vault.seal(period="2025-02")
    vault.seal(period="2025-01", place=OTHER_PLACE)
    assert [len(vault.store.cohorts(RECORD_TYPE, place)) for place in (PLACE, OTHER_PLACE)] == [2, 1]


def test_destroying_a_cohort_destroys_all_that_is_in_it_and_nothing_else(vault: Vault) -> None:
    gone = [vault.seal(number) for number in (1, 2, 3)]
    kept = vault.seal(period="2025-02")
    cohort = vault.cohort_of(gone[0].id)
    witness = vault.destroy(cohort)
    for one in gone:
        assert vault.store.object(one.id).state is ObjectState.DESTROYED
        with pytest.raises(KeyDestroyed):
            vault.store.key_of(one.id)
    vault.store.key_of(kept.id).wipe()
    ids = [cohort, gone[0].id, vault.cohort_of(kept.id), kept.id, "0" * 16]
    absent, present = Presence.ABSENT, Presence.PRESENT
    assert vault.store.presence(ids) == [absent, absent, present, present, Presence.UNREADABLE]
    told = vault.store.erasure([witness])
    assert (told.objects, told.size, told.kids) == (3, 30, tuple(vault.store.kids([cohort])))


def test_a_gate_that_was_not_committed_changes_nothing(vault: Vault) -> None:
    made = vault.seal()
    epoch, cohort = vault.store.epoch(), vault.cohort_of(made.id)
    with vault.store.gate(at=vault.now()) as writing:
        writing.destroy([cohort], witness="w")
    assert vault.store.fate("w") is Fate.ROLLED_BACK
    vault.store.key_of(made.id).wipe()
    assert vault.store.epoch() == epoch


def test_a_committed_destruction_is_told_by_its_witness(vault: Vault) -> None:
    made = vault.seal()
    witness = vault.destroy(vault.cohort_of(made.id))
    vault.store.barrier(1.0)
    assert vault.store.fate(witness) is Fate.COMMITTED


def test_the_read_back_inside_the_gate_sees_what_was_committed(vault: Vault) -> None:
    made = vault.seal()
    cohort = vault.cohort_of(made.id)
    with vault.store.gate(at=vault.now()) as writing:
        writing.destroy([cohort], witness="w")
        writing.commit()
        assert vault.store.presence([cohort]) == [Presence.ABSENT]


def test_what_is_gone_or_was_never_there_is_not_destroyed_again(vault: Vault) -> None:
    made, other = vault.seal(1), vault.seal(2)
    cohort = vault.cohort_of(made.id)
    vault.destroy(made.id)
    for id in (made.id, "0" * 16, "K000000000000"):
        with pytest.raises(Refused):
            vault.destroy(id)
    vault.destroy(cohort)
    for id in (cohort, other.id):
        with pytest.raises(Refused):
            vault.destroy(id)


def test_one_of_several_that_may_not_go_keeps_all(vault: Vault) -> None:
    made = vault.seal()
    with pytest.raises(Refused):
        vault.destroy(vault.cohort_of(made.id), "0" * 16)
    vault.store.key_of(made.id).wipe()


def test_a_withdrawn_object_goes_alone(vault: Vault) -> None:
    gone, kept = vault.seal(1), vault.seal(2)
    vault.store.withdraw(gone.id, reason="consent withdrawn", at=vault.now())
    assert [one.id for one in vault.store.withdrawn(RECORD_TYPE, PLACE)] == [gone.id]
    vault.destroy(gone.id)
    assert vault.store.withdrawn(RECORD_TYPE, PLACE) == []
    with pytest.raises(KeyDestroyed):
        vault.store.key_of(gone.id)
    vault.store.key_of(kept.id).wipe()
    assert vault.store.cohorts(RECORD_TYPE, PLACE)[0].objects == 1


def test_an_object_whose_cohort_expired_while_it_was_sealed_cannot_be_finished(vault: Vault) -> None:
    vault.seal(1)
    made = vault.store.begin_sealing(facts(2), period="2025-01", at=vault.now())
    vault.destroy(vault.store.cohorts(RECORD_TYPE, PLACE)[0].id)
    with pytest.raises(KeyDestroyed, match="while it was being sealed"):
        vault.store.finish_sealing(made.id, sealed_size=1, digest="ab", at=vault.now())
    again = vault.seal(2)
    vault.store.key_of(again.id).wipe()


def test_an_abandoned_sealing_leaves_no_key(vault: Vault) -> None:
    made = vault.store.begin_sealing(facts(1), period="2025-01", at=vault.now())
    vault.store.abandon_sealing(made.id, at=vault.now())
    with pytest.raises(KeyDestroyed):
        vault.store.key_of(made.id)
    assert vault.store.presence([made.id]) == [Presence.ABSENT]
    with pytest.raises(UsageError):
        vault.store.finish_sealing(made.id, sealed_size=1, digest="ab", at=vault.now())


def test_the_barrier_waits_for_an_open_gate_and_no_longer_than_told(vault: Vault) -> None:
    inside, leave = threading.Event(), threading.Event()

    def batch() -> None:
        with vault.store.gate(at=NOW):
            inside.set()
            leave.wait(10)

    worker = threading.Thread(target=batch)
    worker.start()
    inside.wait(10)
    other = vault.opened()
    try:
        with pytest.raises(KeyStoreUnavailable, match="locked"):
            other.barrier(0.2)
        leave.set()
        other.barrier(5.0)
    finally:
        leave.set()
        worker.join()
        other.close()


def test_the_epoch_grows_with_every_change_of_wraps(vault: Vault) -> None:
    before = vault.store.epoch()
    made = vault.seal()
    between = vault.store.epoch()
    vault.destroy(vault.cohort_of(made.id))
    assert before < between < vault.store.epoch()


def test_a_store_behind_what_the_ledger_saw_is_refused(vault: Vault) -> None:
    vault.store.require_ready(at_least=vault.store.epoch())
    with pytest.raises(KeyStoreUnavailable, match="older than it was"):
        vault.store.require_ready(at_least=vault.store.epoch() + 1)


def test_nobody_reads_in_the_key_store_whom_an_object_is_about(vault: Vault) -> None:
    vault.seal(subject=NAME, camera="zqcanary-camera", branch="zqcanary-branch")
    told = "".join(
        repr(vault.rows(f"SELECT * FROM {table}")) for table in ("sealed_object", "event", "holder")
    )
    assert RECORD_TYPE in told
    assert "zqcanary" not in told


def test_a_damaged_wrap_is_unreadable_and_not_called_destroyed(vault: Vault) -> None:
    made = vault.seal()
    with vault.store.db.writing() as connection:
        connection.exec_driver_sql("DELETE FROM wrap WHERE purpose = 'data'")
    with pytest.raises(KeyUnreadable, match="no wrap"):
        vault.store.key_of(made.id)


def test_swapped_wraps_do_not_open(vault: Vault) -> None:
    first, second = vault.seal(1), vault.seal(2)
    bodies = {
        row[0]: bytes(row[1]) for row in vault.rows("SELECT child, body FROM wrap WHERE purpose = 'data'")
    }
    mark = "?" if vault.store.db.sqlite else "%s"
    with vault.store.db.writing() as connection:
        for one, other in ((first, second), (second, first)):
            connection.exec_driver_sql(
                f"UPDATE wrap SET body = {mark} WHERE child = {mark}", (bodies[other.kid], one.kid)
            )
    for one in (first, second):
        with pytest.raises(KeyUnreadable, match="does not open"):
            vault.store.key_of(one.id)


def test_an_unknown_object_is_neither_destroyed_nor_unreadable(vault: Vault) -> None:
    for act in (vault.store.key_of, vault.store.object):
        with pytest.raises(UsageError):
            act("0" * 16)


def test_objects_are_listed_by_what_they_are_now(vault: Vault) -> None:
    gone, kept = vault.seal(1), vault.seal(2, period="2025-02")
    vault.destroy(vault.cohort_of(gone.id))
    listed = {state: [one.id for one in vault.store.objects(state=state)] for state in ObjectState}
    assert (listed[ObjectState.DESTROYED], listed[ObjectState.SEALED]) == ([gone.id], [kept.id])


def test_a_key_is_never_printed_pickled_or_turned_into_json() -> None:
    key = SecretKey.random()
    assert repr(key) == str(key) == f"{key}" == "SecretKey(hidden)"
    for attempt in (pickle.dumps, json.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(key)
    with key:
        material = key.reveal()
    assert len(material) == 0
    with pytest.raises(ValueError, match="wiped"):
        key.reveal()


def test_the_erasure_waits_for_keys_that_a_process_may_still_have_in_memory(vault: Vault) -> None:
    made = vault.seal()
    witness = vault.destroy(vault.cohort_of(made.id))
    assert vault.store.erasure([witness]).irrecoverable_from is None
    destroyed = vault._at
    vault.store.rotate(at=vault.now())
    told = vault.store.erasure([witness])
    assert told.windows == ()
    assert told.irrecoverable_from is not None
    assert told.irrecoverable_from >= destroyed + timedelta(seconds=60)
