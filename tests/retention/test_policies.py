"""The schedule that ships with the product: complete, sound, and described by its own JSON Schema."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from retention import layout
from retention.loader import load, read_problems
from retention.schedule import Schedule, StoreKind, TableLocation, TreeLocation
from retention.schema import json_schema
from tests.retention.schedules import SOUND

POLICIES = Path(__file__).parents[2] / "policies.toml"


@pytest.fixture(scope="module")
def policies() -> Schedule:
    return load(POLICIES.read_text(encoding="utf-8"), "policies.toml")


def _plain(text: str) -> Any:
    return json.loads(json.dumps(tomllib.loads(text), default=lambda value: value.isoformat()))


def test_the_shipped_schedule_has_no_problem() -> None:
    assert [
        str(problem) for problem in read_problems(POLICIES.read_text(encoding="utf-8"), "policies.toml")
    ] == []


def test_the_shipped_schedule_covers_what_a_library_holds(policies: Schedule) -> None:
    wanted = {
        "registration", "checkouts", "payments", "reading-history", "computer-sign-ins", "computer-caches", "requests",
        "programs", "camera-footage", "collection-agency-exports", "analytics-exports", "incident-clips",
    }  # fmt: skip
    assert wanted <= {record_type.id for record_type in policies.record_types}
    assert {store.kind for store in policies.stores} == set(StoreKind)


def test_each_record_type_says_all_that_a_certificate_needs(policies: Schedule) -> None:
    for record_type in policies.record_types:
        wide = record_type.rules[0]
        assert wide.authority.citation, record_type.id
        assert wide.authority.series, record_type.id
        assert wide.maximum is not None, record_type.id
        assert record_type.limits.records or record_type.limits.percent, record_type.id
        assert len(record_type.examples) >= 2, record_type.id
        assert {example.expect for example in record_type.examples} > {"due"}, record_type.id


def test_every_location_has_an_example(policies: Schedule) -> None:
    for record_type in policies.record_types:
        shown = {example.location for example in record_type.examples}
        declared = {
            location.name
            for location in record_type.locations
            if not isinstance(location, TreeLocation) or location.vault_of is None
        }
        assert shown == declared, record_type.id


def test_every_layout_of_the_shipped_schedule_can_be_read(policies: Schedule) -> None:
    for record_type in policies.record_types:
        for location in record_type.locations:
            if isinstance(location, TreeLocation):
                layout.compile_layout(location.template)


def test_no_patron_is_destroyed_with_something_on_file(policies: Schedule) -> None:
    patrons = policies.record_type("registration").location("patrons")
    assert isinstance(patrons, TableLocation)
    guards = {relation.name for relation in patrons.relations}
    assert guards >= {
        "loan-on-file",
        "unpaid-bill",
        "booking-on-file",
        "request-on-file",
        "shelf-hold-waiting",
    }


@pytest.mark.parametrize(
    "text", [POLICIES.read_text(encoding="utf-8"), SOUND], ids=["policies.toml", "sound"]
)
def test_the_json_schema_accepts_a_sound_schedule(text: str) -> None:
    jsonschema.Draft202012Validator(json_schema()).validate(_plain(text))


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        ('version = "1"', 'versoin = "1"'),
        ('cutoff = "day"', 'cutoff = "weekly"'),
        ('minimum = "P30D"', 'minimum = "PT1H"'),
        ('key = "id"', 'key = "id; drop"'),
        ('subject = "patron"\n', ""),
        ("percent = 10", "percent = 1000"),
        ('expect = "due"', 'expect = "gone"'),
    ],
)
def test_the_json_schema_refuses_what_the_loader_refuses(sound: str, broken: str) -> None:
    text = SOUND.replace(sound, broken, 1)
    assert read_problems(text, "policies.toml")
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(_plain(text)))


def test_the_json_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
