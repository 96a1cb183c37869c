"""What goes with an object, in what order, and what keeps it: the nasty cases of buckets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from retention.errors import StoreUnavailable
from retention.outcomes import Presence
from tests.storage.s3.buckets import Bucket
from tests.storage.s3.disturbed import Asked, Line, Told, error
from tests.storage.s3.drawer import Drawer, on_everything


def test_every_version_and_marker_of_an_object_goes(bucket: Bucket, tmp_path: Path) -> None:
    for body in (b"one", b"two", b""):
        bucket.put("out/a.csv", body)
    bucket.hide("out/a.csv")
    bucket.put("out/a.csv", b"back")
    bucket.put("elsewhere/a.csv")
    assert Drawer(bucket, tmp_path).destroy() == {"a.csv": Presence.ABSENT}
    assert [key for key, _ in bucket.everything()] == ["elsewhere/a.csv"]


def test_a_key_of_which_only_markers_are_left_is_cleared_away(bucket: Bucket, tmp_path: Path) -> None:
    bucket.hide("out/once.csv")
    bucket.hide("out/once.csv")
    assert Drawer(bucket, tmp_path).destroy() == {"once.csv": Presence.ABSENT}
    assert bucket.everything() == []


def test_an_upload_that_was_begun_and_left_goes_by_its_age(bucket: Bucket, tmp_path: Path) -> None:
    """On LocalStack: every upload on moto was begun in 2010."""
    bucket.begin("out/big.zip")
    bucket.begin("out/big.zip")
    assert Drawer(bucket, tmp_path, days=3).due() == []
    drawer = Drawer(bucket, tmp_path)
    assert drawer.destroy() == {"big.zip": Presence.ABSENT}
    assert bucket.everything() == []


def test_an_upload_begun_since_keeps_what_is_at_its_key(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("out/a.csv")
    drawer = Drawer(bucket, tmp_path)
    _, lines = drawer.survey()
    bucket.begin("out/a.csv")
    assert drawer.destroy(lines) == {}
    assert len(bucket.everything()) == 2


def test_a_thousand_and_one_versions_of_one_key_go(bucket: Bucket, tmp_path: Path) -> None:
    for number in range(1001):
        bucket.put("out/busy.log", str(number).encode())
    bucket.put("out/busy.log.gz")
    drawer = Drawer(bucket, tmp_path)
    _, lines = drawer.survey()
    assert drawer.destroy(lines[:1]) == {"busy.log": Presence.ABSENT}
    assert drawer.left() == ["busy.log.gz"]


ODD = [
    "with space.csv", "plus+and%2Bpercent%.csv", "new\nline.csv", "carriage\rreturn.csv", "tab\t.csv", "\x01control.csv", "a/../b.csv", "./c.csv",
    "//d.csv", "<b>&amp;[red]bold[/red].csv", "J\N{LATIN SMALL LETTER U WITH DIAERESIS}rgen \N{GRINNING FACE}.csv", "'; DROP--\".csv", "e/", "x" * 900,
]  # fmt: skip


def test_keys_of_every_kind_are_surveyed_and_go(bucket: Bucket, tmp_path: Path) -> None:
    """On LocalStack: moto cannot take a key with a newline and lists none with a control character."""
    for key in ODD:
        bucket.put(f"out/{key}")
    bucket.put("out/stays.csv")
    drawer = Drawer(bucket, tmp_path)
    found, lines = drawer.survey()
    assert found.findings == []
    assert sorted(drawer.due()) == sorted([*ODD, "stays.csv"])
    for key in ODD:
        record = drawer.store.read(drawer.criteria, key)
        assert record is not None
        assert record.key.reveal() == key
    going = [line for line in lines if drawer.store.reference(line) != "stays.csv"]
    assert drawer.destroy(going) == dict.fromkeys(ODD, Presence.ABSENT)
    assert drawer.left() == ["stays.csv"]


def test_an_object_replaced_after_the_survey_is_withheld(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("out/a.csv")
    bucket.put("out/b.csv")
    drawer = Drawer(bucket, tmp_path)
    _, lines = drawer.survey()
    new = bucket.put("out/a.csv", b"rows of today")
    assert drawer.destroy(lines) == {"b.csv": Presence.ABSENT}
    assert ("out/a.csv", new) in bucket.everything()
    assert len(bucket.everything()) == 2


def test_a_version_added_after_it_was_chosen_stays_and_shows(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("out/a.csv")
    drawer = Drawer(bucket, tmp_path)
    _, lines = drawer.survey()
    with drawer.store.batch(drawer.criteria) as batch:
        batch.stage(lines, ())
        new = bucket.put("out/a.csv", b"rows of today")
        batch.destroy()
        assert batch.read_back() == [Presence.PRESENT]
    assert bucket.everything() == [("out/a.csv", new)]


def test_without_versioning_an_object_replaced_after_it_was_chosen_stays(
    plain: Bucket, tmp_path: Path
) -> None:
    plain.put("out/a.csv")
    plain.put("out/b.csv")
    drawer = Drawer(plain, tmp_path)
    _, lines = drawer.survey()
    with drawer.store.batch(drawer.criteria) as batch:
        batch.stage(lines, ())
        plain.put("out/a.csv", b"rows of today")
        batch.destroy()
        assert batch.read_back() == [Presence.PRESENT, Presence.ABSENT]
    assert drawer.left() == ["a.csv"]


def test_what_a_lifecycle_rule_took_meanwhile_does_not_keep_the_rest(bucket: Bucket, tmp_path: Path) -> None:
    first = bucket.put("out/a.csv")
    bucket.put("out/a.csv", b"newer")
    drawer = Drawer(bucket, tmp_path)
    _, lines = drawer.survey()
    bucket.client.delete_object(Bucket=bucket.name, Key=f"{bucket.prefix}out/a.csv", VersionId=first)
    assert drawer.destroy(lines) == {"a.csv": Presence.ABSENT}


def test_a_version_that_vanishes_in_the_middle_counts_as_gone(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("out/a.csv")
    bucket.put("out/b.csv")
    drawer = Drawer(bucket, tmp_path)
    _, lines = drawer.survey()
    with drawer.store.batch(drawer.criteria) as batch:
        batch.stage(lines, ())
        bucket.wipe("out/a.csv")
        batch.destroy()
        assert batch.read_back() == [Presence.ABSENT, Presence.ABSENT]


def test_versions_go_before_what_hides_them(bucket: Bucket, line: Line, tmp_path: Path) -> None:
    """Killed in the middle, nothing that was deleted for its readers comes back: a marker goes last, the current version after the old."""
    old = bucket.put("out/a.csv", b"1")
    current = bucket.put("out/a.csv", b"2")
    hidden = bucket.put("out/b.csv", b"3")
    marker = bucket.hide("out/b.csv")
    upload = bucket.begin("out/a.csv")
    Drawer(bucket, tmp_path, endpoint=line.url).destroy()
    deleting = [asked for asked in line.asked if asked.deletes]
    order = [
        re.findall(r"<VersionId>([^<]+)<", asked.body.decode()) or asked.query.get("uploadId", [])
        for asked in deleting
    ]
    assert order[0] == [upload]
    assert [sorted(ids) for ids in order[1:]] == [sorted([old, hidden]), [current], [marker]]


def test_a_locked_version_keeps_its_object_whole(locked: Bucket, tmp_path: Path) -> None:
    first = locked.put("out/a.csv", b"1")
    locked.put("out/a.csv", b"2")
    locked.put("out/b.csv")
    drawer = Drawer(locked, tmp_path)
    _, lines = drawer.survey()
    locked.client.put_object_legal_hold(
        Bucket=locked.name, Key="out/a.csv", VersionId=first, LegalHold={"Status": "ON"}
    )
    assert drawer.destroy(lines) == {"b.csv": Presence.ABSENT}
    assert len(locked.everything()) == 2


def test_what_the_store_refuses_is_read_back_and_the_rest_goes(locked: Bucket, tmp_path: Path) -> None:
    """The lock comes after it was chosen: one AccessDenied inside an answer of 200."""
    first = locked.put("out/a.csv", b"1")
    locked.put("out/a.csv", b"2")
    locked.put("out/b.csv")
    drawer = Drawer(locked, tmp_path)
    _, lines = drawer.survey()
    with drawer.store.batch(drawer.criteria) as batch:
        batch.stage(lines, ())
        locked.client.put_object_legal_hold(
            Bucket=locked.name, Key="out/a.csv", VersionId=first, LegalHold={"Status": "ON"}
        )
        batch.destroy()
        assert batch.read_back() == [Presence.PRESENT, Presence.ABSENT]
    assert len(locked.everything("out/a.csv")) == 2, "nothing more of it is touched after the refusal"


def slow(times: int, key: str) -> bytes:
    return (
        f"<DeleteResult><Error><Key>{key}</Key><Code>SlowDown</Code><Message>{times}</Message></Error></DeleteResult>"
    ).encode()


def test_what_the_store_was_too_busy_for_is_asked_for_again(
    bucket: Bucket, line: Line, tmp_path: Path
) -> None:
    bucket.put("out/a.csv")
    bucket.put("out/b.csv")
    drawer = Drawer(bucket, tmp_path, endpoint=line.url)
    full = f"{bucket.prefix}out/a.csv"
    answered: list[Asked] = []

    def trouble(asked: Asked, hand_on: object) -> Told:
        if asked.deletes and len(answered) < 2:
            answered.append(asked)
            return Told(200, slow(len(answered), full)) if len(answered) == 1 else error(503, "SlowDown")
        assert callable(hand_on)
        told: Told = hand_on()
        return told

    line.trouble = trouble
    seen = drawer.destroy()
    assert seen["a.csv"] is Presence.ABSENT
    # b was said to be deleted in the first, invented answer and was not: the read-back is what counts.
    assert seen["b.csv"] is Presence.PRESENT
    assert drawer.left() == ["b.csv"]


@pytest.mark.parametrize(
    "trouble",
    [
        (error(503, "SlowDown"), "overloaded"),
        (error(400, "ExpiredToken"), "expired"),
        (error(403, "RequestTimeTooSkewed"), "clock"),
    ],
)
def test_a_store_that_stops_in_the_middle_leaves_the_result_open(
    bucket: Bucket, line: Line, tmp_path: Path, trouble: tuple[Told, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, words = trouble
    monkeypatch.setattr("storage.s3.wire.pause", lambda attempt: None)
    bucket.put("out/a.csv")
    drawer = Drawer(bucket, tmp_path, endpoint=line.url)
    _, lines = drawer.survey()
    line.trouble = lambda asked, hand_on: told if asked.deletes else hand_on()
    with pytest.raises(StoreUnavailable, match=words) as caught:
        drawer.destroy(lines)
    assert caught.value.hint
    assert "a.csv" not in str(caught.value)
    # The next run looks again, and what was begun is done.
    line.trouble = lambda asked, hand_on: hand_on()
    assert drawer.store.presence(drawer.criteria, lines) == [Presence.PRESENT]
    assert drawer.destroy(lines) == {"a.csv": Presence.ABSENT}


def test_a_refusal_for_want_of_a_permission_is_not_done(bucket: Bucket, line: Line, tmp_path: Path) -> None:
    bucket.put("out/a.csv")
    drawer = Drawer(bucket, tmp_path, endpoint=line.url)
    _, lines = drawer.survey()
    line.trouble = lambda asked, hand_on: error(403, "AccessDenied") if asked.deletes else hand_on()
    assert drawer.destroy(lines) == {"a.csv": Presence.PRESENT}


def test_a_listing_that_lags_is_asked_again(bucket: Bucket, line: Line, tmp_path: Path) -> None:
    bucket.put("out/a.csv")
    drawer = Drawer(bucket, tmp_path, endpoint=line.url)
    _, lines = drawer.survey()
    before: list[Told] = []
    stale: list[Asked] = []

    def trouble(asked: Asked, hand_on: object) -> Told:
        assert callable(hand_on)
        told: Told = hand_on()
        if asked.lists:
            if not before:
                before.append(told)
            elif line.count(lambda one: one.deletes) and len(stale) < 2:
                stale.append(asked)
                return before[0]
        return told

    line.trouble = trouble
    assert drawer.destroy(lines) == {"a.csv": Presence.ABSENT}
    assert len(stale) == 2


def test_a_listing_that_never_catches_up_is_not_taken_for_absence(
    bucket: Bucket, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.s3.batch._LAG", 0.0)
    bucket.put("out/a.csv")
    drawer = Drawer(bucket, tmp_path, endpoint=line.url)
    _, lines = drawer.survey()
    first: list[Told] = []

    def trouble(asked: Asked, hand_on: object) -> Told:
        assert callable(hand_on)
        told: Told = hand_on()
        if asked.lists:
            first.append(told)
            return first[0]
        return told

    line.trouble = trouble
    assert drawer.destroy(lines) == {"a.csv": Presence.PRESENT}


def test_held_objects_stay_and_those_beside_them_go(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("out/a.csv")
    drawer = Drawer(bucket, tmp_path)
    _, lines = drawer.survey()
    assert drawer.destroy(lines, [on_everything()]) == {}
    assert drawer.survey([on_everything()])[0].due == 0
    assert drawer.left() == ["a.csv"]
