"""Crypto-shred in the schedule: only what can be decided without looking at the sealed record."""

import pytest

from retention.loader import load, read_problems
from retention.schedule import Disposition, TableLocation
from tests.retention.schedules import SOUND

SEALED = """
[record-type.clips]
title = "Clips"
description = "Incidents"
authority = "Camera policy"
owner = "Facilities"
personal-data = ["images"]
trigger = "recorded"
cutoff = "month"
minimum = "P90D"
maximum = "P1Y"
disposition = "crypto-shred"
approval = "standing"
limits = { records = 100 }
effective-from = 2026-01-01
[[record-type.clips.location]]
name = "clips"
store = "cams"
path = "clips"
template = "{camera}/{Y}{m}{d}-{H}{M}{S}.mp4"
trigger-kind = "name"
time-zone = "UTC"
subject = "unknown"
max-length = 600
[[record-type.clips.example]]
on = 2026-06-01
trigger = "2026-01-31T12:00:00"
expect = "due"
[record-type.notes]
title = "Notes"
description = "Staff notes"
authority = "Notes policy"
owner = "Circulation"
personal-data = ["note"]
trigger = "written"
cutoff = "day"
minimum = "P30D"
disposition = "crypto-shred"
approval = "standing"
limits = { records = 100 }
effective-from = 2026-01-01
[[record-type.notes.location]]
name = "notes"
store = "ils"
table = "action.notes"
key = "id"
trigger-column = "written"
trigger-kind = "date"
time-zone = "library"
subject = "patron"
sealed = ["note", "title"]
"""

WHEN = """[[record-type.notes.rule]]
id = "long"
when = "kind = 'x'"
authority = "x"
minimum = "P60D"
"""
BLOCKED_BY = """[[record-type.notes.location.blocked-by]]
name = "bill"
table = "bills"
column = "note"
matches = "id"
"""
DEPENDENT = """[[record-type.notes.location.dependent]]
table = "hints"
column = "note"
"""


def test_a_schedule_with_sealed_places_is_read() -> None:
    schedule = load(SOUND + SEALED, "p")
    (notes,) = schedule.record_type("notes").locations
    assert schedule.record_type("clips").disposition is Disposition.CRYPTO_SHRED
    assert isinstance(notes, TableLocation)
    assert notes.sealed == ("note", "title")


@pytest.mark.parametrize(
    ("sound", "other", "word"),
    [
        ('cutoff = "day"\nminimum = "P30D"\ndisposition = "crypto', 'cutoff = "event"\nminimum = "P30D"\ndisposition = "crypto', "closing event"),
        ('sealed = ["note", "title"]', "", "destroys nothing"),
        ('sealed = ["note", "title"]', 'sealed = ["note", "patron"]', "the subject"),
        ('sealed = ["note", "title"]', 'sealed = ["written"]', "the trigger"),
        ('sealed = ["note", "title"]', 'sealed = ["note", "note"]', "twice"),
        ('sealed = ["note", "title"]', 'sealed = ["note"]\nblocked = "open"', "nobody can ask"),
        ('sealed = ["note", "title"]', 'sealed = ["note"]\n' + BLOCKED_BY, "nobody can ask"),
        ('sealed = ["note", "title"]', 'sealed = ["note"]\n' + DEPENDENT, "rows stay"),
        ('sealed = ["note", "title"]', 'sealed = ["note"]\n' + WHEN, "nobody can ask"),
        ('subject = "patron"\nsealed', 'subject = "none"\nsealed', "names no patron"),
        ("max-length = 600", 'max-length = 600\nunit = "folder"', "single files"),
    ],
)  # fmt: skip
def test_what_crypto_shredding_cannot_do_is_one_problem(sound: str, other: str, word: str) -> None:
    assert sound in SEALED
    (problem,) = read_problems(SOUND + SEALED.replace(sound, other), "p")
    assert problem.code == "P035"
    assert word in problem.message
    assert problem.hint


def test_consent_on_a_sealed_place_is_a_problem() -> None:
    text = SOUND + SEALED.replace('minimum = "P30D"\ndisp', 'minimum = "P30D"\nmaximum = "P1Y"\ndisp')
    text = text.replace('sealed = ["note", "title"]', 'sealed = ["note"]\nconsent = "agreed"')
    (problem,) = read_problems(text, "p")
    assert (problem.code, "withdraw" in problem.hint) == ("P035", True)


def test_sealed_columns_elsewhere_are_a_problem() -> None:
    text = SOUND.replace('blocked = "barred = true"', 'blocked = "barred = true"\nsealed = ["note"]')
    (problem,) = read_problems(text, "p")
    assert (problem.code, "destroys none" in problem.message) == ("P035", True)


def test_clear_and_replace_do_not_go_with_crypto_shred() -> None:
    (problem,) = read_problems(
        SOUND + SEALED.replace('sealed = ["note", "title"]', 'sealed = ["note"]\nclear = ["title"]'), "p"
    )
    assert problem.code == "P028"
