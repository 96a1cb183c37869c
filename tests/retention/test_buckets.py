"""Locations in buckets: what a schedule says of them, and what it cannot."""

import pytest

from retention.loader import load, read_problems
from retention.schedule import StoreKind, TreeLocation, TriggerKind
from tests.retention.schedules import SOUND

_OLD = '''[store.cams]
kind = "footage"'''
ARCHIVE = SOUND.replace(_OLD, _OLD.replace("footage", "s3")).replace(
    "settle = 300\n", 'upload-within = "P2D"\n'
)
"""The sound schedule with its cameras in a bucket."""


def of_bucket(old: str, new: str) -> list[tuple[str, str]]:
    assert old in ARCHIVE
    return [
        (problem.code, problem.message)
        for problem in read_problems(ARCHIVE.replace(old, new), "policies.toml")
    ]


def test_a_location_in_a_bucket_is_a_tree_below_a_prefix() -> None:
    schedule = load(ARCHIVE, "policies.toml")
    assert schedule.store("cams").kind is StoreKind.S3
    (location,) = schedule.record_type("footage").locations
    assert isinstance(location, TreeLocation)
    assert (location.path, location.unit, location.max_length) == ("recordings", "file", 60)
    assert location.upload_within == 2 * 86_400
    assert location.trigger_kind is TriggerKind.NAME


def test_objects_do_not_go_by_folder() -> None:
    ((code, message),) = of_bucket('upload-within = "P2D"', 'unit = "file"')
    assert code == "P022"
    assert "unit" in message
    assert "one by one" in message


def test_a_bucket_knows_no_time_but_that_of_the_upload() -> None:
    ((code, message),) = of_bucket('trigger-kind = "name"', 'trigger-kind = "changed"')
    assert code == "P022"
    assert "objects" in message


@pytest.mark.parametrize(
    "template",
    ['template = "{Y}-{m}-{d}/{H}/{camera}/{M}.{S}.mp4"', 'template = "preset:s3-hive"'],
)
def test_footage_in_a_bucket_needs_its_longest_length(template: str) -> None:
    text = ARCHIVE.replace('template = "{Y}-{m}-{d}/{H}/{camera}/{M}.{S}.mp4"', template)
    without = text.replace('max-length = "PT60S"\n', "")
    assert [problem.code for problem in read_problems(without, "policies.toml")] == ["P004"]
    assert not read_problems(text, "policies.toml")


def test_how_late_an_upload_may_be_is_said_of_buckets_only() -> None:
    codes = [
        problem.code
        for problem in read_problems(
            SOUND.replace("settle = 300\n", 'upload-within = "P2D"\n'), "policies.toml"
        )
    ]
    assert codes == ["P022"]
