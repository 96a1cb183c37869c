"""Locations whose records are rows inside files, and what exports rest on: read, and refused where they leave something open."""

from __future__ import annotations

import pytest

from retention.columns import places, plain
from retention.condition import Compare
from retention.loader import load, read_problems
from retention.schedule import ConsentRecord, TreeLocation, TriggerKind
from tests.retention.schedules import SOUND

ROWS = """\
[store.exports]
kind = "files"
title = "Exports"
[record-type.analytics]
title = "Analytics"
description = "People who opted in"
authority = "Vendor contract"
owner = "IT"
personal-data = ["name"]
trigger = "exported"
cutoff = "day"
minimum = "P0D"
maximum = "P60D"
disposition = "purge"
approval = "standing"
limits = { records = 100 }
effective-from = 2026-01-01
[[record-type.analytics.location]]
name = "rows"
store = "exports"
path = "savannah"
template = "{any}-{Y}{m}{d}.csv"
trigger-kind = "name"
time-zone = "library"
subject = "cardnumber"
consent = "withdrawn = false"
[record-type.analytics.location.rows]
key = ["cardnumber"]
encoding = "cp1252"
[record-type.analytics.location.export]
purpose = "use of the collection"
recipient = "Savannah"
consent = "opted in"
attestation = true
names-reused = true
"""
FILES = """\
[record-type.vendor-files]
title = "Files"
description = "Files"
authority = "Vendor contract"
owner = "IT"
personal-data = ["name"]
trigger = "exported"
cutoff = "day"
minimum = "P30D"
disposition = "purge"
approval = "standing"
limits = { records = 100 }
effective-from = 2026-01-01
[[record-type.vendor-files.location]]
name = "files"
store = "exports"
path = "PATH"
template = "{any}.xlsx"
trigger-kind = "changed"
time-zone = "library"
subject = "unknown"
"""


def problems(text: str) -> list[str]:
    return [problem.code for problem in read_problems(SOUND + text, "p")]


def changed(old: str, new: str) -> str:
    assert old in ROWS
    return ROWS.replace(old, new)


def test_rows_and_exports_are_read_whole() -> None:
    location = load(SOUND + ROWS, "p").record_type("analytics").location("rows")
    assert isinstance(location, TreeLocation)
    assert location.rows is not None
    assert (location.rows.key, location.rows.encoding, location.subject) == (
        ("cardnumber",),
        "cp1252",
        "cardnumber",
    )
    assert location.export is not None
    assert (location.export.recipient, location.export.consent, location.export.attestation, location.export.reused) == (
        "Savannah", "opted in", True, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('key = ["cardnumber"]\n', "", "P004"),
        ('encoding = "cp1252"', 'encoding = "utf-16"', "P006"),
        ('encoding = "cp1252"', 'encoding = "martian"', "P006"),
        ('encoding = "cp1252"', 'trigger-column = "day"', "P022"),
        ('encoding = "cp1252"', 'date-format = "%m/%Y"', "P006"),
        ('encoding = "cp1252"', 'clear = ["name"]', "P028"),
        ('encoding = "cp1252"', 'colour = "red"', "P003"),
        ('consent = "opted in"', 'consent = "opted in"\nground = "law"', "P037"),
        ('consent = "opted in"\n', "", "P037"),
        ('recipient = "Savannah"\n', "", "P004"),
        ('disposition = "purge"', 'disposition = "anonymize"', "P028"),
        ('subject = "cardnumber"', 'subject = "cardnumber"\nvault = "cams"', "P022"),
        ('cutoff = "day"', 'cutoff = "event"', "P027"),
        ('template = "{any}-{Y}{m}{d}.csv"', 'template = "{any}.csv"', "P033"),
    ],
)
def test_what_is_left_open_or_contradicts_itself_is_named(old: str, new: str, code: str) -> None:
    assert problems(changed(old, new)) == [code]


def test_rows_with_a_date_of_their_own_are_triggered_as_rows_of_a_table_are() -> None:
    text = changed('encoding = "cp1252"', 'trigger-column = "day"\ndate-format = "%m/%d/%Y"')
    text = text.replace('trigger-kind = "name"', 'trigger-kind = "date"')
    location = load(SOUND + text, "p").record_type("analytics").location("rows")
    assert location.trigger_kind is TriggerKind.DATE


def test_rows_lie_in_buckets_too_and_have_the_time_of_their_upload_or_one_of_their_own() -> None:
    text = ROWS.replace('kind = "files"', 'kind = "s3"')
    location = load(SOUND + text, "p").record_type("analytics").location("rows")
    assert isinstance(location, TreeLocation)
    assert location.rows is not None
    assert problems(text.replace('trigger-kind = "name"', 'trigger-kind = "changed"')) == ["P022"]
    assert problems(text.replace('trigger-kind = "name"', 'trigger-kind = "date"')) == ["P022"]
    dated = text.replace('trigger-kind = "name"', 'trigger-kind = "date"')
    assert problems(dated.replace('encoding = "cp1252"', 'trigger-column = "day"')) == []
    assert problems(text.replace('trigger-kind = "name"', 'trigger-kind = "registered"')) == []


RECORDED = """consent = { category = "opted in", store = "ils", table = "actor.stat_cat_map", subject = "usr", when = "entry = 'yes'" }"""


def test_consent_may_be_recorded_in_a_database_and_its_condition_is_read_like_every_other() -> None:
    location = (
        load(SOUND + changed('consent = "opted in"', RECORDED), "p").record_type("analytics").location("rows")
    )
    assert isinstance(location, TreeLocation)
    assert location.export is not None
    assert location.export.consent == "opted in"
    when = Compare("entry", "=", "yes")
    assert location.recorded == ConsentRecord(
        store="ils", table="actor.stat_cat_map", subject="usr", when=when
    )
    text = changed('consent = "opted in"', RECORDED.replace(""", when = "entry = 'yes'\"""", ""))
    plain = load(SOUND + text, "p").record_type("analytics").location("rows")
    assert isinstance(plain, TreeLocation)
    assert plain.recorded is not None
    assert plain.recorded.when is None


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ('store = "ils"', 'store = "isl"', ["P021"]),
        ('store = "ils"', 'store = "exports"', ["P021"]),
        ('subject = "usr", ', "", ["P004"]),
        ('subject = "usr"', 'subject = "lower(usr)"', ["P020"]),
        ("actor.stat_cat_map", "stat_cat_map; DROP TABLE patron", ["P020"]),
        ("entry = 'yes'", "entry = (SELECT 1)", ["P024"]),
        ('category = "opted in"', 'colour = "red"', ["P003", "P004"]),
        ("when =", 'column = "x", when =', ["P003"]),
    ],
)
def test_what_is_wrong_with_recorded_consent_is_named_with_its_line(
    old: str, new: str, codes: list[str]
) -> None:
    text = SOUND + changed('consent = "opted in"', RECORDED.replace(old, new))
    found = read_problems(text, "p")
    assert sorted(problem.code for problem in found) == codes
    line = 1 + text[: text.index("consent = { ")].count("\n")
    assert {problem.line for problem in found} == {line}


def test_consent_that_nobody_would_be_asked_for_is_no_consent() -> None:
    text = changed('consent = "opted in"', RECORDED)
    assert problems(text.replace('consent = "withdrawn = false"\n', "")) == ["P039"]
    assert problems(text.replace('consent = "withdrawn = false"', 'consent = "optin = true"')) == ["P039"]
    start, end = (
        text.index("[record-type.analytics.location.rows]"),
        text.index("[record-type.analytics.location.export]"),
    )
    whole = (text[:start] + text[end:]).replace('consent = "withdrawn = false"\n', "")
    assert problems(whole.replace('subject = "cardnumber"', 'subject = "unknown"')) == ["P039"]


def test_the_key_and_what_decides_cannot_be_anonymized() -> None:
    text = changed('disposition = "purge"', 'disposition = "anonymize"')
    for column in ("cardnumber", "withdrawn"):
        assert problems(text.replace('encoding = "cp1252"', f'clear = ["{column}"]')) == ["P029"]
    assert problems(text.replace('encoding = "cp1252"', 'clear = ["name"]')) == []


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("savannah", False), ("savannah/old", False), (".", False), ("savannah2", True), ("other", True)],
)
def test_rows_and_files_of_another_record_type_do_not_lie_in_one_folder(path: str, allowed: bool) -> None:
    """A hold on the record type of the files would not keep the rows in them."""
    assert (problems(ROWS + FILES.replace("PATH", path)) == []) is allowed


def test_columns_are_named_as_people_vary_them() -> None:
    assert {plain(name) for name in ("Patron Barcode", "PATRON_BARCODE", " patron-barcode ")} == {
        "patron_barcode"
    }
    assert (plain("Prénom"), plain("…")) == ("prenom", "")
    assert places(["Id", "ID", "Name"]) == {"id": -1, "name": 2}
