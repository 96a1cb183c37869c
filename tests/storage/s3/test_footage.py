"""A hold on one camera hour in a bucket, on the day the clocks are set back: what overlaps stays, its day goes around it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from retention.holds import Hold, HoldState, Scope
from retention.outcomes import Presence
from retention.schedule import TriggerKind
from tests.storage.s3.buckets import Bucket
from tests.storage.s3.drawer import EXPORTS, Drawer

EASTERN = ZoneInfo("America/New_York")
ARCHIVE = replace(
    EXPORTS,
    trigger_kind=TriggerKind.NAME,
    zone=EASTERN,
    template="{camera}/{Y}-{m}-{d}/{H}-{M}.mp4",
    max_length=1800.0,
    upload_within=3 * 365 * 86_400.0,
)


def test_a_hold_on_a_camera_hour_keeps_just_what_overlaps_when_clocks_are_set_back(
    locked: Bucket, tmp_path: Path
) -> None:
    """1 November 2026, 1:00 to 2:00 happens twice. Half-hours on the wall, two cameras; the hold names 1:15-1:45, either time."""
    halves = [f"{hour:02}-{minute}" for hour in range(6) for minute in ("00", "30")]
    for camera in ("door", "stacks"):
        for half in halves:
            locked.put(f"out/{camera}/2026-11-01/{half}.mp4")
    since = datetime(2026, 11, 1, 1, 15, tzinfo=EASTERN).astimezone(UTC)
    until = datetime(2026, 11, 1, 1, 45, fold=1, tzinfo=EASTERN).astimezone(UTC)
    assert until - since == timedelta(minutes=90)
    hold = Hold(
        id="h", state=HoldState.ACTIVE, scope=Scope(cameras=frozenset({"door"}), since=since, until=until)
    )
    drawer = Drawer(locked, tmp_path, location=ARCHIVE)
    assert drawer.store.preserve(drawer.criteria, [hold]) == 2
    _, lines = drawer.survey([hold])
    destroyed = drawer.destroy(lines, [hold])
    assert set(destroyed.values()) == {Presence.ABSENT}
    # 1:00 and 1:30 each have two readings, an hour apart: both overlap. 0:30 ends at 1:00 sharp, 2:00 begins after.
    assert drawer.left() == ["door/2026-11-01/01-00.mp4", "door/2026-11-01/01-30.mp4"]
