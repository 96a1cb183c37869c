"""Roots in a KMS: windows, states, cancelled deletions, wrong regions, and what never leaves the program in the clear."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from retention.errors import KeyDestroyed, KeyStoreUnavailable, KeyUnreadable, Refused, SettingsError
from storage.keys.roots.kms import KmsRoot
from storage.keys.roots.root import RootKind, Roots
from storage.keys.roots.two_share import TwoShareRoot
from tests.simulator.kms import Kms, KmsClientDouble
from tests.storage.keys.vault import NAME, NOW, Adversary, Vault, hold, local_roots, one_root
from tests.storage.keys.vault import vault as opened

WINDOW = 7


class Cloud:
    """A vault whose root is in a KMS with the vault's clock."""

    def __init__(self) -> None:
        self.at = NOW
        self.kms = Kms(now=lambda: self.at)

    def roots(self, kind: RootKind, folder: Path, client: KmsClientDouble | None = None) -> Roots:
        client = client or self.kms.client()
        root = (
            KmsRoot(client, window_days=WINDOW)
            if kind is RootKind.KMS
            else TwoShareRoot(client, folder / "roots", window_days=WINDOW)
        )
        return one_root(kind, root)

    def pass_days(self, vault: Vault, days: int) -> None:
        vault.pass_days(days)
        self.at += timedelta(days=days)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture(params=[RootKind.KMS, RootKind.TWO_SHARE])
def vault(request: pytest.FixtureRequest, cloud: Cloud, tmp_path: Path) -> Iterator[Vault]:
    with opened(tmp_path, roots=cloud.roots(request.param, tmp_path)) as made:
        yield made


@pytest.fixture
def kms_vault(cloud: Cloud, tmp_path: Path) -> Iterator[Vault]:
    with opened(tmp_path, roots=cloud.roots(RootKind.KMS, tmp_path)) as made:
        yield made


@pytest.fixture
def two_share_vault(cloud: Cloud, tmp_path: Path) -> Iterator[Vault]:
    with opened(tmp_path, roots=cloud.roots(RootKind.TWO_SHARE, tmp_path)) as made:
        yield made


def shredded(vault: Vault) -> str:
    """One object survives, one was destroyed and the root rotated; the witness."""
    gone = vault.seal(1, period="2025-01")
    vault.seal(2, period="2025-02")
    witness = vault.destroy(vault.cohort_of(gone.id))
    vault.store.rotate(at=vault.now())
    return witness


def test_an_erasure_is_final_only_when_the_old_root_is_gone_from_the_kms(cloud: Cloud, vault: Vault) -> None:
    witness = shredded(vault)
    told = vault.store.erasure([witness])
    assert told.method_cap == "cryptographic-erase"
    assert [until for _, until in told.windows] == [(NOW + timedelta(days=WINDOW + 1)).date()]
    cloud.pass_days(vault, WINDOW - 1)
    assert not vault.store.rotate(at=vault.now()).settled.gone
    assert vault.store.erasure([witness]).windows
    cloud.pass_days(vault, 2)
    assert vault.store.rotate(at=vault.now()).settled.gone == [told.root]
    final = vault.store.erasure([witness])
    assert final.windows == ()
    assert final.irrecoverable_from is not None
    assert final.method_cap == "cryptographic-erase"


def test_survivors_open_through_any_number_of_rotations(cloud: Cloud, vault: Vault) -> None:
    kept = vault.seal(3, period="2025-05")
    for _ in range(3):
        shredded(vault)
        vault.reopen()
        with vault.store.key_of(kept.id) as key:
            assert key.reveal() == kept.key.reveal()
    vault.hold(hold("H-1", NAME))
    with vault.store.key_of(kept.id) as key:
        assert key.reveal() == kept.key.reveal()


def test_a_cancelled_deletion_is_noticed_told_and_scheduled_anew(cloud: Cloud, vault: Vault) -> None:
    witness = shredded(vault)
    old = vault.store.erasure([witness]).root
    name = next(arn for arn, key in cloud.kms.keys.items() if key.state == "PendingDeletion")
    cloud.pass_days(vault, 5)
    cloud.kms.cancel_deletion(name)
    settled = vault.store.rotate(at=vault.now()).settled
    assert settled.revived == [old]
    assert cloud.kms.keys[name].state == "PendingDeletion"
    assert vault.store.erasure([witness]).windows[0][1] == (cloud.at + timedelta(days=WINDOW + 1)).date()


def test_a_missing_key_is_not_gone_before_its_day(cloud: Cloud, vault: Vault) -> None:
    """Another account answers: it does not know the key, and that proves nothing."""
    witness = shredded(vault)
    name = next(arn for arn, key in cloud.kms.keys.items() if key.state == "PendingDeletion")
    del cloud.kms.keys[name]
    with pytest.raises(KeyStoreUnavailable, match="not due yet"):
        vault.store.rotate(at=vault.now())
    assert vault.store.erasure([witness]).windows


def test_a_kms_that_does_not_know_the_root_in_force_is_not_asked_about_old_ones(
    cloud: Cloud, vault: Vault
) -> None:
    witness = shredded(vault)
    cloud.pass_days(vault, WINDOW + 2)
    cloud.kms.keys.clear()
    with pytest.raises(KeyStoreUnavailable):
        vault.store.rotate(at=vault.now())
    assert vault.store.erasure([witness]).windows


def test_another_region_is_told_and_nothing_is_taken_for_gone(
    cloud: Cloud, vault: Vault, tmp_path: Path
) -> None:
    witness = shredded(vault)
    kept = vault.seal(4)
    vault.roots = cloud.roots(vault.roots.chosen, tmp_path, cloud.kms.client("us-east-1"))
    vault.reopen()
    cloud.pass_days(vault, WINDOW + 2)
    for act in (lambda: vault.store.key_of(kept.id), lambda: vault.store.rotate(at=vault.now())):
        with pytest.raises(KeyStoreUnavailable, match="region eu-west-1") as caught:
            act()
        assert "RETENTION_KEYS_KMS_REGION=eu-west-1" in caught.value.hint
    assert vault.store.erasure([witness]).windows


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "PendingImport"])
def test_a_key_that_is_not_enabled_is_never_used_whatever_the_server_would_do(
    cloud: Cloud, vault: Vault, state: str
) -> None:
    kept = vault.seal(1)
    vault.reopen()
    for key in cloud.kms.keys.values():
        key.state = state
    cloud.kms.calls.clear()
    with pytest.raises(KeyStoreUnavailable, match="not usable"):
        vault.store.key_of(kept.id)
    assert {name for name, _ in cloud.kms.calls} == {"describe_key"}
    for key in cloud.kms.keys.values():
        key.state = "Enabled"
    with vault.store.key_of(kept.id) as opened_key:
        assert opened_key.reveal() == kept.key.reveal()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("ThrottlingException", "too busy"), ("KMSInternalException", "too busy"), ("AccessDeniedException", "refuses"),
        ("KMSInvalidStateException", "disabled or to be deleted"), ("UnrecognizedClientException", "refuses"),
    ],
)  # fmt: skip
def test_what_the_kms_refuses_is_told_with_a_remedy(cloud: Cloud, vault: Vault, code: str, told: str) -> None:
    kept = vault.seal(1)
    vault.reopen()
    cloud.kms.troubles = [code]
    with pytest.raises(KeyStoreUnavailable, match=told) as caught:
        vault.store.key_of(kept.id)
    assert caught.value.hint
    assert caught.value.retryable
    with vault.store.key_of(kept.id) as key:
        assert key.reveal() == kept.key.reveal()


def test_a_rotation_that_the_kms_interrupts_anywhere_goes_on_and_loses_nothing(
    cloud: Cloud, vault: Vault
) -> None:
    kept, gone = vault.seal(1, period="2025-02"), vault.seal(2)
    witness = vault.destroy(vault.cohort_of(gone.id))
    interruptions = 0
    for call in range(60):
        vault.reopen()
        cloud.kms.troubles = [*[""] * call, "ThrottlingException"]
        try:
            vault.store.rotate(at=vault.now(), force=True)
        except KeyStoreUnavailable:
            interruptions += 1
        finally:
            reached = not cloud.kms.troubles
            cloud.kms.troubles = []
        with vault.store.key_of(kept.id) as key:
            assert key.reveal() == kept.key.reveal()
        if not reached:
            break
    assert interruptions > 4
    assert call < 59
    cloud.pass_days(vault, WINDOW + 1)
    vault.store.rotate(at=vault.now())
    assert vault.store.erasure([witness]).windows == ()


def test_the_kms_gets_no_personal_data_in_the_clear(cloud: Cloud, vault: Vault) -> None:
    vault.seal(1)
    vault.hold(hold("H-1", NAME))
    shredded(vault)
    contexts = [
        value
        for _, given in cloud.kms.calls
        for name, value in given.items()
        if name not in {"Plaintext", "CiphertextBlob"}
    ]
    assert contexts
    assert NAME not in repr(contexts)
    assert "H-1" not in repr(contexts)


def test_rotating_in_the_kms_shows_no_key_to_this_process(cloud: Cloud, kms_vault: Vault) -> None:
    kms_vault.seal(1)
    cloud.kms.calls.clear()
    kms_vault.store.rotate(at=kms_vault.now(), force=True)
    names = [name for name, _ in cloud.kms.calls]
    assert names.index("re_encrypt") > names.index("create_key")
    assert names.index("schedule_key_deletion") > names.index("re_encrypt")


def test_a_window_that_aws_would_refuse_is_refused_here(cloud: Cloud) -> None:
    for days in (3, 6, 31):
        with pytest.raises(SettingsError, match="7 to 30"):
            KmsRoot(cloud.kms.client(), window_days=days)


def test_a_key_that_we_did_not_make_is_never_scheduled_for_deletion(cloud: Cloud, vault: Vault) -> None:
    vault.seal(1)
    for key in cloud.kms.keys.values():
        key.description = "the library's own key"
    with pytest.raises(KeyStoreUnavailable, match="not made by this program"):
        vault.store.rotate(at=vault.now(), force=True)
    assert "schedule_key_deletion" not in {name for name, _ in cloud.kms.calls}


def test_a_ciphertext_that_was_moved_does_not_open(cloud: Cloud, kms_vault: Vault) -> None:
    first, second = kms_vault.seal(1, period="2025-01"), kms_vault.seal(2, period="2025-02")
    kids = [kms_vault.store.cohorts("loans", "loan")[index].kid for index in (0, 1)]
    bodies = dict(kms_vault.rows("SELECT child, body FROM wrap WHERE purpose = 'cohort'"))
    with kms_vault.store.db.writing() as connection:
        for kid, other in (kids, reversed(kids)):
            connection.exec_driver_sql("UPDATE wrap SET body = ? WHERE child = ?", (bodies[other], kid))
    kms_vault.reopen()
    for one in (first, second):
        with pytest.raises(KeyUnreadable):
            kms_vault.store.key_of(one.id)


def test_forgetting_the_share_ends_an_old_root_at_once(cloud: Cloud, two_share_vault: Vault) -> None:
    witness = shredded(two_share_vault)
    old = two_share_vault.store.erasure([witness]).root
    assert two_share_vault.store.forget_shares(at=two_share_vault.now()) == [old]
    told = two_share_vault.store.erasure([witness])
    assert (told.windows, told.method_cap) == ((), "clear")
    assert two_share_vault.store.forget_shares(at=two_share_vault.now()) == []


def test_with_the_share_forgotten_a_cancelled_deletion_brings_nothing_back(
    cloud: Cloud, two_share_vault: Vault
) -> None:
    adversary = Adversary.watching(two_share_vault.store)
    shredded(two_share_vault)
    two_share_vault.store.forget_shares(at=two_share_vault.now())
    name = next(arn for arn, key in cloud.kms.keys.items() if key.state == "PendingDeletion")
    cloud.kms.cancel_deletion(name)
    settled = two_share_vault.store.rotate(at=two_share_vault.now()).settled
    assert settled.revived == []
    assert adversary.opens({name: cloud.kms.keys[name].material}) == {}


def test_the_share_in_force_is_never_forgotten(cloud: Cloud, two_share_vault: Vault) -> None:
    kept = two_share_vault.seal(1)
    assert two_share_vault.store.forget_shares(at=two_share_vault.now()) == []
    two_share_vault.reopen()
    with two_share_vault.store.key_of(kept.id) as key:
        assert key.reveal() == kept.key.reveal()


def test_a_site_may_move_from_a_file_to_the_kms(cloud: Cloud, tmp_path: Path) -> None:
    with opened(tmp_path) as vault:
        kept, gone = vault.seal(1), vault.seal(2, period="2025-02")
        known = {**local_roots(tmp_path).known, **cloud.roots(RootKind.KMS, tmp_path).known}
        vault.roots = Roots(chosen=RootKind.KMS, known=known)
        vault.reopen()
        vault.store.rotate(at=vault.now(), force=True)
        assert not list((tmp_path / "roots").glob("*.root"))
        vault.reopen()
        with vault.store.key_of(kept.id) as key:
            assert key.reveal() == kept.key.reveal()
        witness = vault.destroy(vault.cohort_of(gone.id))
        vault.store.rotate(at=vault.now())
        # It was born under a file, and a file was at most cleared.
        assert vault.store.erasure([witness]).method_cap == "clear"
        with pytest.raises(KeyDestroyed):
            vault.store.key_of(gone.id)


def test_a_root_made_just_before_a_crash_is_found_again(cloud: Cloud, kms_vault: Vault) -> None:
    kms_vault.seal(1)
    root = kms_vault.roots.new
    made = root.create("R-interrupted", again=False)
    for number in range(4):
        root.create(f"R-other-{number}", again=False)
    assert root.create("R-interrupted", again=True) == made


def test_shares_are_not_forgotten_while_a_rotation_is_unfinished(
    cloud: Cloud, two_share_vault: Vault
) -> None:
    two_share_vault.seal(1)
    two_share_vault.store.backups.parent.mkdir(exist_ok=True)
    two_share_vault.store.backups.write_text("a file where the backups folder should be")
    with pytest.raises(KeyStoreUnavailable, match="backup"):
        two_share_vault.store.rotate(at=two_share_vault.now(), force=True)
    with pytest.raises(Refused, match="unfinished"):
        two_share_vault.store.forget_shares(at=two_share_vault.now())
