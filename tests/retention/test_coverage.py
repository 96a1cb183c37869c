"""Coverage: what no rule speaks about is found by names, and what has one is left in peace."""

from __future__ import annotations

from pathlib import Path

import pytest

from retention.coverage import Place, Standing, Verdict, signs, verdicts
from retention.loader import load
from retention.schedule import Schedule

POLICIES = Path(__file__).parents[2] / "policies.toml"


@pytest.fixture(scope="module")
def schedule() -> Schedule:
    return load(POLICIES.read_text(encoding="utf-8"), "policies.toml")


def table(name: str, *columns: str, refers_to: tuple[str, ...] = ()) -> Place:
    return Place(kind="table", names=(name,), columns=columns, refers_to=refers_to)


def folder(name: str, items: int = 1) -> Place:
    return Place(kind="folder", names=(name,), items=items)


def only(found: list[Verdict]) -> Verdict:
    (verdict,) = found
    return verdict


@pytest.mark.parametrize(
    "column",
    [
        "usr", "email", "first_given_name", "family_name", "dob", "dateofbirth", "post_code", "ident_value", "day_phone", "cardnumber",
        "borrowernumber", "patronBarcode", "UserName", "smsalertnumber", "ip_addr", "cred_user", "guardian_email", "street1", "requestor",
    ],
)  # fmt: skip
def test_columns_of_the_library_systems_that_are_about_people_look_so(column: str) -> None:
    assert signs(table("t", column), frozenset()) == (column,)


@pytest.mark.parametrize(
    "column",
    [
        "id", "create_time", "due_date", "circ_lib", "price", "title", "author", "isbn", "call_number", "xact_start", "duration", "owning_lib",
        "amount", "status", "creator", "editor", "value", "opac_visible", "name", "shipping", "zipped", "skip_count", "recipe",
    ],
)  # fmt: skip
def test_columns_about_things_do_not(column: str) -> None:
    assert signs(table("t", column), frozenset()) == ()


def test_a_barcode_of_an_item_is_not_one_of_a_person() -> None:
    assert signs(table("asset.copy", "barcode"), frozenset()) == ()
    assert signs(table("actor.card", "barcode"), frozenset()) == ("barcode",)


def test_a_table_of_the_schedule_is_covered_by_its_record_types(schedule: Schedule) -> None:
    verdict = only(verdicts(schedule, "ils", [table("action.circulation", "usr")], None))
    assert (verdict.standing, verdict.why) == (Standing.COVERED, ("checkouts",))


def test_a_dependent_is_covered_with_its_record(schedule: Schedule) -> None:
    dependents = {
        dependent.table
        for record_type in schedule.record_types
        for location in record_type.locations
        for dependent in getattr(location, "dependents", ())
    }
    assert dependents
    for name in sorted(dependents):
        assert only(verdicts(schedule, "ils", [table(name, "usr")], None)).standing is Standing.COVERED


def test_an_exempt_table_comes_with_its_reason(schedule: Schedule) -> None:
    verdict = only(verdicts(schedule, "ils", [table("action.aged_circulation", "usr_post_code")], None))
    assert verdict.standing is Standing.EXEMPT
    assert verdict.why[0].startswith("Statistics without a patron")


def test_the_same_table_in_another_store_is_not_exempt(schedule: Schedule) -> None:
    assert (
        only(verdicts(schedule, "exports", [table("action.aged_circulation", "usr")], None)).standing
        is Standing.UNCOVERED
    )


def test_a_table_that_refers_to_patrons_is_uncovered_though_its_columns_tell_nothing(
    schedule: Schedule,
) -> None:
    place = table("container.bucket", "id", "owner", refers_to=("actor.usr",))
    verdict = only(verdicts(schedule, "ils", [place], None))
    assert (verdict.standing, verdict.signs) == (Standing.UNCOVERED, ("refers to actor.usr",))


def test_a_table_about_things_shows_no_sign(schedule: Schedule) -> None:
    assert (
        only(verdicts(schedule, "ils", [table("biblio.record", "id", "title")], None)).standing
        is Standing.NO_SIGN
    )


def test_the_name_with_its_schema_counts_as_well_as_the_plain_one(schedule: Schedule) -> None:
    place = Place(kind="table", names=("circulation", "action.circulation"), columns=("usr",))
    assert only(verdicts(schedule, "ils", [place], None)).standing is Standing.COVERED


def test_a_folder_that_no_location_reaches_is_one_line_with_all_its_files(schedule: Schedule) -> None:
    places = [
        folder("recordings/2026-03-01/14/door", 360),
        folder("snapshots/faces", 3),
        folder("snapshots/plates", 4),
    ]
    found = {
        verdict.place.name: (verdict.standing, verdict.place.items)
        for verdict in verdicts(schedule, "cameras", places, None)
    }
    assert found == {"recordings": (Standing.COVERED, 360), "snapshots": (Standing.UNCOVERED, 7)}


def test_an_exempt_folder_comes_with_its_reason(schedule: Schedule) -> None:
    verdict = only(verdicts(schedule, "cameras", [folder("exports/2026")], None))
    assert (verdict.place.name, verdict.standing) == ("exports", Standing.EXEMPT)


def test_files_in_the_root_are_not_covered_by_a_folder_below_it(schedule: Schedule) -> None:
    assert only(verdicts(schedule, "cameras", [folder("", 2)], None)).standing is Standing.UNCOVERED


def test_a_new_column_in_a_covered_table_is_drift_and_a_vanished_one_too(schedule: Schedule) -> None:
    places = [table("action.circulation", "id", "usr", "renewal_note")]
    verdict = only(verdicts(schedule, "ils", places, {"action.circulation": ["id", "usr", "opac"]}))
    assert (verdict.new, verdict.gone, verdict.drifted) == (("renewal_note",), ("opac",), True)


def test_nothing_has_drifted_from_what_nobody_accepted(schedule: Schedule) -> None:
    places = [table("action.circulation", "id", "usr")]
    assert not only(verdicts(schedule, "ils", places, None)).drifted
    assert not only(verdicts(schedule, "ils", places, {})).drifted
