"""The age of an export, and what of it may be kept and shown."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.errors import UsageError
from retention.exports import UNNAMED, Basis, Step, Taken, age, day_in, shown_columns, third_parties
from tests.storage.desk import export

ZONE = ZoneInfo("America/Denver")
SEEN = datetime(2026, 6, 15, 18, tzinfo=UTC)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(TIMES)
def test_an_old_time_copied_onto_a_file_makes_it_no_older_than_the_day_it_was_seen(
    modified: datetime,
) -> None:
    produced, basis = age(declared=None, name="patrons.csv", modified=modified, first_seen=SEEN, zone=ZONE)
    assert (produced >= SEEN, basis) == (True, Basis.FIRST_SEEN)


@given(TIMES)
def test_saving_a_file_again_changes_nothing_where_its_name_or_its_producer_says_how_old_it_is(
    modified: datetime,
) -> None:
    named = age(declared=None, name="ums-2026-03-01.csv", modified=modified, first_seen=SEEN, zone=ZONE)
    assert named == (datetime(2026, 3, 1, 23, 59, 59, 999999, ZONE), Basis.NAME)
    told = SEEN - timedelta(days=90)
    declared = age(
        declared=told,
        name="ums-2026-03-01.csv",
        modified=modified,
        first_seen=SEEN,
        zone=ZONE,
        reason="moved",
    )
    assert declared == (told, Basis.DECLARED)


@pytest.mark.parametrize(
    ("name", "days", "modified", "allowed"),
    [
        ("patrons.csv", 1, 0, True),
        ("patrons.csv", 2, 0, False),
        ("patrons.csv", 30, 30, True),
        ("patrons.csv", 30, 28, False),
        (f"patrons-{SEEN - timedelta(days=30):%Y-%m-%d}.csv", 31, 0, True),
        (f"patrons-{SEEN - timedelta(days=30):%Y-%m-%d}.csv", 33, 0, False),
        ("patrons.csv", 2, -5, False),
    ],
)
def test_whoever_calls_an_export_older_than_its_file_has_to_say_why(
    name: str, days: int, modified: int, allowed: bool
) -> None:
    told, at = SEEN - timedelta(days=days), SEEN - timedelta(days=modified)
    because = age(
        declared=told, name=name, modified=at, first_seen=SEEN, zone=ZONE, reason="from the old server"
    )
    assert because == (told, Basis.DECLARED)
    for reason in ("", "  "):
        if allowed:
            assert (
                age(declared=told, name=name, modified=at, first_seen=SEEN, zone=ZONE, reason=reason)
                == because
            )
            continue
        with pytest.raises(UsageError, match="nobody says why"):
            age(declared=told, name=name, modified=at, first_seen=SEEN, zone=ZONE, reason=reason)


def test_a_day_to_come_is_no_day_of_production() -> None:
    produced, basis = age(declared=None, name="due-2026-12-31.csv", modified=SEEN, first_seen=SEEN, zone=ZONE)
    assert (produced, basis) == (SEEN, Basis.FIRST_SEEN)
    with pytest.raises(UsageError):
        age(declared=SEEN + timedelta(seconds=1), name="x", modified=SEEN, first_seen=SEEN, zone=ZONE)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("ums-2026-03-01.csv", date(2026, 3, 1)),
        ("ums_20260301.csv", date(2026, 3, 1)),
        ("2026.03.01 patrons.xlsx", date(2026, 3, 1)),
        ("2026-02-30.csv", None),
        ("21234202603011.csv", None),
        ("2026-03-01 to 2026-03-31.csv", None),
        ("report.csv", None),
    ],
)
def test_a_day_is_read_from_a_name_only_when_it_is_one(name: str, day: date | None) -> None:
    assert day_in(name) == day


def test_the_first_line_of_a_file_without_a_header_is_a_person_and_not_shown() -> None:
    assert shown_columns(["Patron Barcode", "E-mail", ""]) == ("patron_barcode", "e_mail", "column 3")
    assert shown_columns(["21234000000011", "Ada"]) == ("column 1", "column 2")
    assert shown_columns(["Ada", "ada@example.org"]) == ("column 1", "column 2")
    assert shown_columns(["Ada", "03/01/1980"]) == ("column 1", "column 2")


def test_a_certificate_says_of_each_recipient_what_is_attested_and_what_is_not() -> None:
    attested = Taken(step=Step.ATTESTED, at=SEEN, actor="ada", document_digest="ab" * 32)
    long_gone = Taken(step=Step.GONE, at=SEEN - timedelta(days=9), actor="rule")
    given_ = [
        export("E1", recipient="Agency", steps=(attested,)),
        export("E2", recipient="Agency"),
        export("E3", recipient="Vendor", attestation=True),
        export("E4", recipient="Board", attestation=False),
        export("E5", recipient="Old", steps=(long_gone,)),
        export("E6", recipient="Elsewhere", store="other"),
        export("E7", recipient="Counsel (litigation hold)", attestation=False),
    ]
    said = third_parties(given_, [("exports", "agency/")], SEEN)
    assert [sentence.partition(":")[0] for sentence in said] == [UNNAMED, "Agency", "Board", "Vendor"]
    assert "2 exports; destruction attested by third party for 1" in said[1]
    assert "ab" * 32 in said[1]
    assert "not covered" in said[2]
    assert "awaited" in said[3]
