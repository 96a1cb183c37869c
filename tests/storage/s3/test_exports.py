"""When an object is due by the times of its uploads. Nothing goes early: the newest content at a key counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retention.decide import KeepReason
from retention.schedule import ExportRule, TriggerKind
from storage.files.facts import AHEAD_FILE, CONTRADICTION, GROWING, NoRegister
from storage.s3.items import NOT_UTF8, Item, found, nanoseconds
from storage.s3.lines import Line, read_line, write_line
from storage.s3.listing import Entry
from tests.storage.s3.buckets import Bucket
from tests.storage.s3.disturbed import Line as Wire
from tests.storage.s3.disturbed import Told
from tests.storage.s3.drawer import EXPORTS, Drawer

NAMED = replace(EXPORTS, trigger_kind=TriggerKind.NAME, template="{any}-{Y}{m}{d}.csv")


def day(days: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y%m%d}"


def test_an_object_is_due_a_month_after_its_upload(plain: Bucket, tmp_path: Path) -> None:
    plain.put("out/a.csv")
    assert Drawer(plain, tmp_path, days=29).due() == []
    assert Drawer(plain, tmp_path, days=32).due() == ["a.csv"]


def test_the_later_of_name_and_upload_counts(plain: Bucket, tmp_path: Path) -> None:
    plain.put(f"out/old-{day(-300)}.csv")
    plain.put(f"out/new-{day(10)}.csv")
    assert Drawer(plain, tmp_path, days=29, location=NAMED).due() == []
    assert Drawer(plain, tmp_path, days=32, location=NAMED).due() == [f"old-{day(-300)}.csv"]
    assert len(Drawer(plain, tmp_path, days=43, location=NAMED).due()) == 2


def at(*times: tuple[str, str]) -> list[Entry]:
    return [Entry("k", kind, str(number), time, 1, "", False) for number, (kind, time) in enumerate(times)]


def test_the_newest_content_at_a_key_counts_and_a_marker_does_not_make_it_younger() -> None:
    old, newer, newest = (f"2026-0{month}-01T00:00:00.000Z" for month in (1, 2, 3))
    it = found(Item("k", at(("V", old), ("V", newer), ("M", newest))))
    assert (it.first, it.modified, it.touched) == tuple(map(nanoseconds, (old, newer, newest)))
    assert found(Item("k", at(("V", old), ("U", newest)))).modified == nanoseconds(newest)
    assert found(Item("k", at(("M", old), ("M", newer)))).modified == nanoseconds(newer)


def test_what_cannot_be_named_or_dated_is_never_judged() -> None:
    assert found(Item("\udcff", at(("V", "2026-01-01T00:00:00Z")))).odd == NOT_UTF8
    assert found(Item("k", at(("V", "yesterday")))).odd
    assert found(Item("k", at(("V", "2026-01-01T00:00:00")))).odd, "a time without a zone"


def test_what_was_uploaded_a_moment_ago_is_left_to_settle(plain: Bucket, tmp_path: Path) -> None:
    plain.put("out/a.csv")
    drawer = Drawer(plain, tmp_path, days=0, location=replace(EXPORTS, settle=3600))
    assert list(drawer.store.cannot_decide(drawer.criteria, (), 9)) == [
        ("a.csv", KeepReason.UNDECIDABLE, GROWING)
    ]


def test_an_upload_from_the_future_is_a_wrong_clock(plain: Bucket, tmp_path: Path) -> None:
    plain.put("out/a.csv")
    drawer = Drawer(plain, tmp_path, days=-5)
    assert [told[2] for told in drawer.store.cannot_decide(drawer.criteria, (), 9)] == [AHEAD_FILE]


def test_what_no_layout_recognises_is_reported_and_left_alone(plain: Bucket, tmp_path: Path) -> None:
    plain.put(f"out/known-{day(-3)}.csv")
    plain.put("out/stranger.csv")
    drawer = Drawer(plain, tmp_path, location=NAMED)
    result, lines = drawer.survey()
    assert [drawer.store.reference(line) for line in lines] == [f"known-{day(-3)}.csv"]
    assert result.population == 1
    (finding,) = result.findings
    assert finding.message.startswith(
        "1 object matches no layout and is left alone; the oldest was written on "
    )


def test_footage_that_came_late_is_doubted_unless_the_schedule_says_how_late(
    plain: Bucket, tmp_path: Path
) -> None:
    footage = replace(NAMED, template="{camera}/{Y}{m}{d}.mp4", max_length=3600.0, zone=NAMED.zone)
    plain.put(f"out/door/{day(-9)}.mp4")
    drawer = Drawer(plain, tmp_path, location=footage)
    assert [told[2] for told in drawer.store.cannot_decide(drawer.criteria, (), 9)] == [CONTRADICTION]
    assert Drawer(plain, tmp_path, location=replace(footage, upload_within=20 * 86_400.0)).due() == [
        f"door/{day(-9)}.mp4"
    ]


def test_a_listing_too_large_for_memory_is_put_aside_and_cleared_away(
    bucket: Bucket, line: Wire, tmp_path: Path
) -> None:
    """Thirty thousand keys in answers of a thousand: what is kept in memory is a page and a group of a thousand."""
    page = "".join(
        f"<Version><Key>out/%s{number:03}.csv</Key><VersionId>v</VersionId><IsLatest>true</IsLatest><Size>1</Size>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Version>"
        for number in range(1000)
    )

    def told(asked: object, hand_on: object) -> Told:
        query: dict[str, list[str]] = getattr(asked, "query", {})
        if "uploads" in query:
            return Told(200, b"<ListMultipartUploadsResult/>")
        if "versions" not in query:
            assert callable(hand_on)
            answer: Told = hand_on()
            return answer
        number = int((query.get("key-marker") or ["out/-01"])[0][4:7]) + 1
        more = number < 29
        body = f"<ListVersionsResult><IsTruncated>{str(more).lower()}</IsTruncated><NextVersionIdMarker>v</NextVersionIdMarker>"
        return Told(200, (body + page.replace("%s", f"{number:03}") + "</ListVersionsResult>").encode())

    line.trouble = told
    bucket.prefix = ""
    drawer = Drawer(bucket, tmp_path, endpoint=line.url)
    lengths: list[int] = []
    result = drawer.store.survey(
        drawer.criteria, (), lambda lines: lengths.append(len(lines)), lambda _: None
    )
    assert result.due == 30_000
    assert max(lengths) < 30_000, "lines are handed on a few hundred at a time"
    assert not list(tmp_path.glob(".listing-*")), "and the names are gone"


LINE = Line("a/b\n\"'<c>.csv", 12, ("Vabc", "Mdef", 'Vnull 3 "e" 2026-01-01T00:00:00Z'), 1.5, None, "door")


def test_a_line_is_read_as_it_was_written() -> None:
    written = write_line(LINE)
    assert written.count(b"\n") == 1
    assert read_line(written.rstrip(b"\n")) == LINE


@pytest.mark.parametrize(
    "text", [b'["",1,["Va"],null,null,null]', b'["a",1,[],null,null,null]', b'["a",1,[3],null,null,null]']
)
def test_a_line_without_a_key_or_versions_is_none(text: bytes) -> None:
    from retention.errors import VerificationFailed

    with pytest.raises(VerificationFailed):
        read_line(text)


class Registered(NoRegister):
    """Every export was produced long ago, as the registry has it."""

    def produced(self, store: str, path: str) -> datetime | None:
        return datetime(2020, 1, 1, tzinfo=UTC) if path == "out/a.csv" else None


@pytest.mark.parametrize("reused", [False, True])
def test_a_registered_age_counts_and_under_a_name_that_is_used_again_no_less_than_the_newest_upload(
    bucket: Bucket, tmp_path: Path, reused: bool
) -> None:
    rule = ExportRule(purpose="a study", recipient="University", ground="Contract 7", reused=reused)
    location = replace(EXPORTS, trigger_kind=TriggerKind.REGISTERED, export=rule)
    bucket.put("out/a.csv", b"1")
    bucket.put("out/b.csv", b"1")
    drawer = Drawer(bucket, tmp_path, location=location, days=20, register=Registered)
    assert drawer.due() == ([] if reused else ["a.csv"])
    drawer.days = 40
    assert list(drawer.destroy()) == ["a.csv"]
    assert drawer.left() == ["b.csv"], "nobody registered it"
