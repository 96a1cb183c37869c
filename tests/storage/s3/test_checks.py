"""What `check` and `doctor` are told of a bucket, and what each failure of a store is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from retention.errors import StoreUnavailable
from retention.schedule import Disposition, TriggerKind
from storage.contract import Finding
from storage.s3.store import S3Store
from tests.storage.s3.buckets import Bucket
from tests.storage.s3.disturbed import Line, Told, error
from tests.storage.s3.drawer import EXPORTS, Drawer


def findings(bucket: Bucket, folder: Path, **more: str) -> dict[str, Finding]:
    drawer = Drawer(bucket, folder, endpoint=more.get("endpoint", ""))
    return {finding.message: finding for finding in drawer.store.check(drawer.criteria)}


def test_a_sound_bucket_has_only_its_missing_lock_to_tell(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("out/a.csv")
    (message,) = findings(bucket, tmp_path)
    assert "no Object Lock" in message


def test_a_locked_bucket_that_is_sound_has_nothing_to_tell(locked: Bucket, tmp_path: Path) -> None:
    locked.put("out/a.csv")
    drawer = Drawer(locked, tmp_path)
    drawer.store.probe()
    assert drawer.store.check(drawer.criteria) == []


def test_a_prefix_with_nothing_below_it_is_told(bucket: Bucket, tmp_path: Path) -> None:
    told = findings(bucket, tmp_path)
    assert not told["nothing is below the prefix of the location"].fatal


def test_suspended_and_missing_versioning_are_told(bucket: Bucket, plain: Bucket, tmp_path: Path) -> None:
    bucket.version("Suspended")
    assert any("suspended" in message for message in findings(bucket, tmp_path))
    assert any("no versioning" in message for message in findings(plain, tmp_path))


def test_lifecycle_rules_that_delete_here_are_told(bucket: Bucket, tmp_path: Path) -> None:
    def rule(**what: object) -> None:
        whole = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "library/out/"}, **what}
        bucket.client.put_bucket_lifecycle_configuration(
            Bucket=bucket.name, LifecycleConfiguration={"Rules": [whole]}
        )

    def is_told() -> bool:
        return any("lifecycle rule" in message for message in findings(bucket, tmp_path))

    rule(Expiration={"Days": 3})
    assert is_told()
    rule(NoncurrentVersionExpiration={"NoncurrentDays": 3})
    assert is_told()
    rule(Expiration={"Days": 3}, Filter={"Prefix": "another/"})
    assert not is_told()
    rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 3})
    assert not is_told()


REPLICATED = b"""<ReplicationConfiguration><Role>r</Role><Rule><ID>a</ID><Status>Enabled</Status><Priority>1</Priority>
<Filter><Prefix></Prefix></Filter><Destination><Bucket>b</Bucket></Destination></Rule></ReplicationConfiguration>"""
ANSWERS: dict[str, tuple[str, Told, str, bool]] = {
    "replication": ("replication", Told(200, REPLICATED), "lives on in the other bucket", False),
    "mfa-delete": (
        "versioning",
        Told(200, b"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>"),
        "device code",
        True,
    ),
    "no-right-to-ask-for-rules": ("lifecycle", error(403, "AccessDenied"), "s3:GetLifecycleConfiguration", False),
    "no-right-to-ask-for-versioning": ("versioning", error(403, "AccessDenied"), "s3:GetBucketVersioning", False),
    "no-right-to-ask-for-locks": ("object-lock", error(403, "AccessDenied"), "no hold is pushed down", False),
    "no-right-to-ask-for-replication": ("replication", error(403, "AccessDenied"), "s3:GetReplicationConfiguration", False),
}  # fmt: skip


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_a_bucket_is_set_to_is_told(bucket: Bucket, line: Line, tmp_path: Path, kind: str) -> None:
    """As AWS answers: LocalStack has no MFA delete and refuses nothing."""
    asked_for, told, words, fatal = ANSWERS[kind]
    line.trouble = lambda asked, hand_on: told if asked_for in asked.query else hand_on()
    found = findings(bucket, tmp_path, endpoint=line.url)
    (finding,) = [finding for message, finding in found.items() if words in message]
    assert finding.fatal is fatal
    assert finding.hint


@pytest.mark.parametrize(
    "answer",
    [
        ("AccessDenied", 403, "permission"),
        ("NoSuchBucket", 404, "does not exist"),
        ("InvalidAccessKeyId", 403, "access key"),
        ("SignatureDoesNotMatch", 403, "secret key"),
        ("ExpiredToken", 400, "expired"),
        ("RequestTimeTooSkewed", 403, "clock"),
        ("PermanentRedirect", 301, "region"),
        ("SomethingNew", 400, "SomethingNew"),
        ("zqcanary ada@example.org", 400, "an error"),
    ],
)
def test_each_failure_has_its_words_and_a_remedy(
    bucket: Bucket, line: Line, tmp_path: Path, answer: tuple[str, int, str]
) -> None:
    code, status, words = answer
    drawer = Drawer(bucket, tmp_path, endpoint=line.url)
    line.trouble = lambda asked, hand_on: error(status, code)
    asking: list[Callable[[], object]] = [
        drawer.survey,
        lambda: drawer.store.check(drawer.criteria),
        lambda: drawer.store.read(drawer.criteria, "a"),
    ]
    for ask in asking:
        with pytest.raises(StoreUnavailable, match=words) as caught:
            ask()
        assert caught.value.hint
        assert "zqcanary" not in str(caught.value)


def test_a_store_that_does_not_answer_is_unavailable(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.s3.wire.pause", lambda attempt: None)
    drawer = Drawer(bucket, tmp_path, endpoint="http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match="does not answer"):
        drawer.survey()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        drawer.store.check(drawer.criteria)


def test_without_credentials_it_says_so(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    drawer = Drawer(bucket, tmp_path)
    address = replace(bucket.address, access_key="", secret_key="")
    store = S3Store("bucket", address, state=tmp_path, now=drawer.now)
    with pytest.raises(StoreUnavailable, match="no credentials"):
        store.check(drawer.criteria)


def test_an_address_does_not_show_its_secrets(bucket: Bucket) -> None:
    shown = repr(
        replace(bucket.address, secret_key="zqcanary", session_token="zqcanary", access_key="zqcanary")
    )
    assert "zqcanary" not in shown
    assert bucket.name in shown


def test_what_cannot_be_done_to_objects_is_fatal(bucket: Bucket, tmp_path: Path) -> None:
    drawer = Drawer(
        bucket, tmp_path, location=replace(EXPORTS, unit="folder", trigger_kind=TriggerKind.CHANGED)
    )
    criteria = drawer.criteria
    anonymizing = replace(
        criteria, record_type=replace(criteria.record_type, disposition=Disposition.ANONYMIZE)
    )
    found = drawer.store.check(anonymizing)
    assert len([finding for finding in found if finding.fatal]) == 3
