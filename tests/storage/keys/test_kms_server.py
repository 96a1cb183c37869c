"""The same over the wire, with boto3 itself: names, shapes and errors of the real protocol, against moto and against LocalStack.

moto lets disabled and pending-deletion keys do everything; that ours does not is our own doing. LocalStack refuses them as AWS does.
The strict rules, with a clock of their own: `test_kms`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from retention.errors import KeyStoreUnavailable, SettingsError
from storage.keys.opening import KeySite
from storage.keys.roots.kms_client import KmsClient, connect
from storage.keys.roots.root import RootKind
from tests.storage.keys.vault import NAME, NOW, Vault, hold

REGION = "eu-west-1"


@pytest.fixture(params=["moto", "localstack"])
def endpoint(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_endpoint"))


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("ACCESS_KEY_ID", "test"),
        ("SECRET_ACCESS_KEY", "test"),
        ("EC2_METADATA_DISABLED", "true"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


@pytest.fixture(params=[RootKind.KMS, RootKind.TWO_SHARE])
def vault(request: pytest.FixtureRequest, endpoint: str, tmp_path: Path) -> Iterator[Vault]:
    site = KeySite(
        url=f"sqlite:///{tmp_path / 'keys.db'}", kind=request.param, roots=tmp_path / "roots", backups=tmp_path / "backups",
        region=REGION, endpoint=endpoint, window_days=7,
    )  # fmt: skip
    made = Vault(tmp_path, roots=site.open().roots)
    made.store.upgrade(at=NOW)
    yield made
    made.store.close()


@pytest.fixture
def client(endpoint: str) -> KmsClient:
    return connect(REGION, endpoint)


def pending(vault: Vault) -> str:
    """The KMS key of the root that is to go."""
    ((reference,),) = vault.rows("SELECT reference FROM root WHERE state = 'scheduled'")
    return str(reference)


def test_a_whole_life_over_the_wire(vault: Vault, client: KmsClient) -> None:
    kept, gone = vault.seal(1, period="2025-02"), vault.seal(2)
    held = vault.seal(3, subject="p3")
    vault.hold(hold("H-1", "p3"))
    witness = vault.destroy(vault.cohort_of(gone.id))
    vault.reopen()
    report = vault.store.rotate(at=vault.now())
    assert (report.rotated, report.proven) == (True, 2)
    assert client.describe_key(KeyId=pending(vault))["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert vault.store.erasure([witness]).windows[0][1] is not None
    vault.reopen()
    for one in (kept, held):
        with vault.store.key_of(one.id) as key:
            assert key.reveal() == one.key.reveal()


def test_a_key_to_be_deleted_is_refused_even_by_a_server_that_would_use_it(
    vault: Vault, client: KmsClient, request: pytest.FixtureRequest
) -> None:
    made = vault.seal(1)
    strict = request.node.callspec.params["endpoint"] == "localstack"
    ((name,),) = vault.rows("SELECT reference FROM root WHERE state = 'current'")
    sealed = client.encrypt(KeyId=name, Plaintext=b"x")["CiphertextBlob"]
    client.schedule_key_deletion(KeyId=name.rpartition("/")[2], PendingWindowInDays=7)
    if strict:
        with pytest.raises(ClientError, match="KMSInvalidStateException"):
            client.decrypt(CiphertextBlob=sealed)
    else:
        assert client.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x", "then this test shows nothing here"
    vault.reopen()
    with pytest.raises(KeyStoreUnavailable, match="PendingDeletion"):
        vault.store.key_of(made.id)


def test_a_cancelled_deletion_is_noticed(vault: Vault, client: KmsClient) -> None:
    vault.seal(1)
    vault.store.rotate(at=vault.now(), force=True)
    cancel = getattr(client, "cancel_key_deletion")  # noqa: B009  # an administrator's call, not one of ours
    cancel(KeyId=pending(vault).rpartition("/")[2])
    settled = vault.store.rotate(at=vault.now()).settled
    assert len(settled.revived) == 1
    assert client.describe_key(KeyId=pending(vault))["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_an_unknown_key_is_not_taken_for_gone(vault: Vault, client: KmsClient) -> None:
    made = vault.seal(1)
    with vault.store.db.writing() as connection:
        connection.exec_driver_sql(
            f"UPDATE root SET reference = 'arn:aws:kms:{REGION}:123456789012:key/none'"
        )
    vault.reopen()
    with pytest.raises(KeyStoreUnavailable, match="does not exist"):
        vault.store.key_of(made.id)


def test_a_kms_that_does_not_answer_is_unavailable(vault: Vault, tmp_path: Path) -> None:
    made = vault.seal(1)
    site = KeySite(
        url=vault.url, kind=vault.roots.chosen, roots=tmp_path / "roots", backups=tmp_path / "backups", region=REGION,
        endpoint="http://127.0.0.1:9", window_days=7,
    )  # fmt: skip
    vault.roots = site.open().roots
    vault.reopen()
    with pytest.raises(KeyStoreUnavailable, match="does not answer"):
        vault.store.key_of(made.id)


def test_without_credentials_it_says_so(vault: Vault, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    made = vault.seal(1, subject=NAME)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    vault.roots = KeySite(
        url=vault.url, kind=vault.roots.chosen, roots=vault.folder / "roots", backups=vault.folder / "backups",
        region=REGION, endpoint=endpoint,
    ).open().roots  # fmt: skip
    vault.reopen()
    with pytest.raises(KeyStoreUnavailable, match="no credentials"):
        vault.store.key_of(made.id)


def test_without_a_region_it_says_which_setting() -> None:
    with pytest.raises(SettingsError) as caught:
        connect(None, None)
    assert "RETENTION_KEYS_KMS_REGION" in caught.value.hint
