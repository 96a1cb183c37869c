"""Object Lock: holds pushed down and lifted again, locks of others respected, servers that do not keep their word found out.

On LocalStack only: moto lets compliance be shortened and taken off, so these tests would pass there whatever we do.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from retention.decide import KeepReason
from retention.errors import StoreUnavailable
from retention.holds import HoldState
from retention.outcomes import Presence
from tests.storage.s3.buckets import Bucket
from tests.storage.s3.disturbed import Line, Told, error
from tests.storage.s3.drawer import Drawer, on_everything

HOLDS = [on_everything()]


def held(bucket: Bucket, key: str, version: str) -> bool:
    """Whether a legal hold is on a version, asked of the server."""
    answer: dict[str, Any] = bucket.client.head_object(Bucket=bucket.name, Key=key, VersionId=version)
    return answer.get("ObjectLockLegalHoldStatus") == "ON"


def put_hold(bucket: Bucket, key: str, version: str, *, on: bool = True) -> None:
    status = {"Status": "ON" if on else "OFF"}
    bucket.client.put_object_legal_hold(Bucket=bucket.name, Key=key, VersionId=version, LegalHold=status)


def later(drawer: Drawer) -> None:
    """A look on another day: what was put on a moment ago may be another's and is left alone."""
    drawer.days += 1


def test_a_hold_is_pushed_down_to_every_version_and_lifted_when_the_last_is_released(
    locked: Bucket, tmp_path: Path
) -> None:
    versions = [locked.put("out/a.csv", b"1"), locked.put("out/a.csv", b"2")]
    locked.hide("out/a.csv")
    drawer = Drawer(locked, tmp_path)
    two = [on_everything("one"), on_everything("two")]
    assert drawer.store.preserve(drawer.criteria, two) == 2
    assert all(held(locked, "out/a.csv", version) for version in versions)
    with pytest.raises(ClientError, match="AccessDenied"):
        locked.client.delete_object(Bucket=locked.name, Key="out/a.csv", VersionId=versions[0])
    later(drawer)
    assert drawer.store.preserve(drawer.criteria, [two[0], replace(two[1], state=HoldState.RELEASED)]) == 0
    assert all(held(locked, "out/a.csv", version) for version in versions)
    later(drawer)
    assert drawer.store.preserve(drawer.criteria, ()) == 2
    assert not any(held(locked, "out/a.csv", version) for version in versions)
    assert drawer.destroy() == {"a.csv": Presence.ABSENT}


def test_pushing_down_again_changes_nothing_and_catches_what_came_since(
    locked: Bucket, tmp_path: Path
) -> None:
    locked.put("out/a.csv")
    drawer = Drawer(locked, tmp_path)
    assert drawer.store.preserve(drawer.criteria, HOLDS) == 1
    assert drawer.open().preserve(drawer.criteria, HOLDS) == 0
    new = locked.put("out/b.csv")
    assert drawer.store.preserve(drawer.criteria, HOLDS) == 1
    assert held(locked, "out/b.csv", new)


def test_what_somebody_lifted_is_put_on_again(locked: Bucket, tmp_path: Path) -> None:
    version = locked.put("out/a.csv")
    drawer = Drawer(locked, tmp_path)
    drawer.store.preserve(drawer.criteria, HOLDS)
    put_hold(locked, "out/a.csv", version, on=False)
    assert drawer.store.preserve(drawer.criteria, HOLDS) == 1
    assert held(locked, "out/a.csv", version)


def test_a_legal_hold_of_somebody_else_is_never_taken_off(locked: Bucket, tmp_path: Path) -> None:
    theirs, ours = locked.put("out/theirs.csv"), locked.put("out/ours.csv")
    put_hold(locked, "out/theirs.csv", theirs)
    drawer = Drawer(locked, tmp_path)
    assert drawer.store.preserve(drawer.criteria, HOLDS) == 1
    later(drawer)
    assert drawer.store.preserve(drawer.criteria, ()) == 1
    assert held(locked, "out/theirs.csv", theirs)
    assert not held(locked, "out/ours.csv", ours)


def test_without_its_memory_it_takes_nothing_off(locked: Bucket, tmp_path: Path) -> None:
    version = locked.put("out/a.csv")
    drawer = Drawer(locked, tmp_path)
    drawer.store.preserve(drawer.criteria, HOLDS)
    (tmp_path / "holds.db").unlink()
    later(drawer)
    assert drawer.store.preserve(drawer.criteria, ()) == 0
    assert held(locked, "out/a.csv", version)
    found, _ = drawer.survey()
    assert [finding.message for finding in found.findings] == [
        "1 object that is due is locked in the store without a date"
    ]


def test_what_was_put_on_a_moment_ago_may_be_another_hold_s(locked: Bucket, tmp_path: Path) -> None:
    """A run that read the holds before one was placed must not lift what the placing has just put on."""
    version = locked.put("out/a.csv")
    drawer = Drawer(locked, tmp_path)
    drawer.store.preserve(drawer.criteria, HOLDS)
    assert drawer.open().preserve(drawer.criteria, ()) == 0
    assert held(locked, "out/a.csv", version)


def test_what_two_locations_want_held_stays_until_both_let_go(locked: Bucket, tmp_path: Path) -> None:
    version = locked.put("out/a.csv")
    drawer = Drawer(locked, tmp_path)
    other = replace(drawer.criteria, location=replace(drawer.location, name="again"))
    for criteria in (drawer.criteria, other):
        drawer.store.preserve(criteria, HOLDS)
    later(drawer)
    assert drawer.store.preserve(drawer.criteria, ()) == 0
    assert held(locked, "out/a.csv", version)
    assert drawer.store.preserve(other, ()) == 1
    assert not held(locked, "out/a.csv", version)


def test_the_memory_of_holds_names_no_file(locked: Bucket, tmp_path: Path) -> None:
    locked.put("out/zqcanary-ada.csv")
    drawer = Drawer(locked, tmp_path)
    drawer.store.preserve(drawer.criteria, HOLDS)
    for path in tmp_path.rglob("*"):
        assert "zqcanary" not in path.name
        assert path.is_dir() or b"zqcanary" not in path.read_bytes()


def test_without_object_lock_nothing_is_pushed_down_and_check_says_so(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("out/a.csv")
    drawer = Drawer(bucket, tmp_path)
    assert drawer.store.preserve(drawer.criteria, HOLDS) == 0
    told = [finding.message for finding in drawer.store.check(drawer.criteria)]
    assert "the bucket has no Object Lock: a hold keeps objects from this program, not from others" in told


def test_a_push_down_that_was_refused_is_not_complete(locked: Bucket, line: Line, tmp_path: Path) -> None:
    locked.put("out/a.csv")
    drawer = Drawer(locked, tmp_path, endpoint=line.url)
    refused = error(403, "AccessDenied")
    line.trouble = lambda asked, hand_on: (
        refused if asked.verb == "PUT" and "legal-hold" in asked.query else hand_on()
    )
    with pytest.raises(StoreUnavailable, match="permission"):
        drawer.store.preserve(drawer.criteria, HOLDS)


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_retention_of_the_store_is_reported_with_its_day_and_not_bypassed(
    locked: Bucket, tmp_path: Path, mode: str
) -> None:
    until = datetime.now(UTC) + timedelta(days=400)
    locked.put("out/a.csv", ObjectLockMode=mode, ObjectLockRetainUntilDate=until)
    locked.put("out/b.csv")
    drawer = Drawer(locked, tmp_path)
    found, lines = drawer.survey()
    words = f"not destroyable until {until.date().isoformat()}: locked in the store"
    assert [finding.message for finding in found.findings] == [f"1 object that is due is {words}"]
    assert found.kept[KeepReason.UNDECIDABLE] == 1
    assert list(drawer.store.cannot_decide(drawer.criteria, (), 9)) == [
        ("a.csv", KeepReason.UNDECIDABLE, words)
    ]
    assert [drawer.store.reference(line) for line in lines] == ["b.csv"]
    assert drawer.destroy() == {"b.csv": Presence.ABSENT}
    assert drawer.left() == ["a.csv"]


def test_retention_that_is_over_no_longer_counts(locked: Bucket, tmp_path: Path) -> None:
    until = datetime.now(UTC) + timedelta(days=5)
    locked.put("out/a.csv", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    assert Drawer(locked, tmp_path).due() == ["a.csv"]


def test_the_canary_shows_a_server_that_enforces_its_locks(locked: Bucket, tmp_path: Path) -> None:
    drawer = Drawer(locked, tmp_path)
    unseen = "whether the store enforces its locks has not been seen yet"
    assert unseen in [finding.message for finding in drawer.store.check(drawer.criteria)]
    before = drawer.store.claim(drawer.criteria).not_claimed
    drawer.store.probe()
    assert locked.everything() == [], "it leaves nothing behind"
    assert unseen not in [finding.message for finding in drawer.open().check(drawer.criteria)]
    after = drawer.store.claim(drawer.criteria).not_claimed
    assert set(before) - set(after) == {
        "It was not shown that the store enforces locks of its own on objects."
    }


def test_the_canary_finds_out_a_server_that_only_says_so(locked: Bucket, line: Line, tmp_path: Path) -> None:
    """It takes legal holds and forgets them."""
    line.trouble = lambda asked, hand_on: (
        Told(200) if asked.verb == "PUT" and "legal-hold" in asked.query else hand_on()
    )
    drawer = Drawer(locked, tmp_path, endpoint=line.url)
    drawer.store.probe()
    told = [finding.message for finding in drawer.store.check(drawer.criteria)]
    assert "the store says it has Object Lock and deleted a locked canary object all the same" in told
    assert len(drawer.store.claim(drawer.criteria).not_claimed) == 4
    assert locked.everything() == []


def test_a_check_and_a_survey_write_nothing_into_the_bucket(
    locked: Bucket, line: Line, tmp_path: Path
) -> None:
    """A dry run is these two."""
    locked.put("out/a.csv")
    drawer = Drawer(locked, tmp_path, endpoint=line.url)
    drawer.store.check(drawer.criteria)
    drawer.survey()
    assert {asked.verb for asked in line.asked} <= {"GET", "HEAD"}


def test_a_bucket_that_locks_everything_gets_no_canary(locked: Bucket, tmp_path: Path) -> None:
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    locked.client.put_object_lock_configuration(
        Bucket=locked.name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    drawer = Drawer(locked, tmp_path)
    drawer.store.probe()
    told = [finding.message for finding in drawer.store.check(drawer.criteria)]
    assert "the bucket locks every new object for a time: what is due sooner waits until then" in told
    assert locked.everything() == []
