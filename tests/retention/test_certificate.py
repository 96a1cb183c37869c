from __future__ import annotations

import dataclasses
import json
import typing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from retention import envelope, facts, media
from retention.approval import Approval, ApprovalStatement
from retention.certificate import DERIVED, Certificate, derived, irrecoverable_from, predicate, statement
from retention.document import camel, read, texts
from retention.errors import Refused, VerificationFailed
from retention.facts import Facts, LocationReport, Method, Residual, Standing, State, Window, duration
from retention.ruling import RulingKind, RulingStatement
from retention.schedule import Period
from retention.signed import Assertion
from tests.retention import media_facts
from tests.retention.authenticator import by_passkeys
from tests.retention.certificate_facts import (
    COUNSEL,
    DIRECTOR,
    LIBRARY,
    approved,
    at,
    certificate,
    groups,
    leaf_file,
    place,
    standing,
)

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "certificate.schema.json").read_text(encoding="utf-8")
)
CONFORMS = jsonschema.Draft202012Validator(SCHEMA)


def test_a_certificate_is_an_in_toto_statement_about_the_case() -> None:
    made = statement(certificate())
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://retention.example/certificate-of-destruction/v1"
    root = certificate().evidence.root
    assert made["subject"] == [{"name": "C-2026-0007", "digest": {"sha256": root}}]


def test_a_certificate_conforms_to_the_published_schema() -> None:
    made = json.loads(envelope.read(envelope.sign(statement(certificate()), [LIBRARY])).payload)
    CONFORMS.validate(made)
    for group in made["predicate"]:
        lacking = {**made, "predicate": {name: v for name, v in made["predicate"].items() if name != group}}
        assert not CONFORMS.is_valid(lacking)
    assert not CONFORMS.is_valid({**made, "predicate": {**made["predicate"], "patron": "x"}})


def test_a_certificate_approved_by_passkeys_conforms_too_and_others_say_nothing_of_it() -> None:
    made = statement(certificate(people__approvals=by_passkeys()))
    CONFORMS.validate(made)
    assert "assertion" in json.dumps(made)
    assert "assertion" not in json.dumps(statement(certificate()))


def test_a_certificate_of_media_conforms_too_and_not_as_one_of_the_other_kind() -> None:
    made = json.loads(envelope.read(media_facts.sealed()).payload)
    CONFORMS.validate(made)
    assert not CONFORMS.is_valid({**made, "predicateType": statement(certificate())["predicateType"]})
    predicate = made["predicate"]
    for group in predicate:
        lacking = {**made, "predicate": {name: v for name, v in predicate.items() if name != group}}
        assert not CONFORMS.is_valid(lacking)
    summary = {"media": 1, "method": "destroy", "result": "passed", "seen": 1}
    wrong: list[dict[str, Any]] = [
        {"patron": "x"},
        {"signed": predicate["signed"][:3]},
        {"signed": predicate["signed"][::-1]},
        {"summary": summary},
    ]
    for change in wrong:
        assert not CONFORMS.is_valid({**made, "predicate": {**predicate, **change}}), change


RULED: dict[str, Any] = {"authority__approval": "standing", "people__approvals": ()}


def test_a_certificate_under_a_standing_approval_says_which_and_conforms() -> None:
    made = certificate(**RULED, people__standing=standing())
    CONFORMS.validate(statement(made))
    again = read(
        Facts, {name: value for name, value in predicate(made).items() if name not in DERIVED}, "predicate"
    )
    assert again.people.standing == made.people.standing
    assert "standing" not in typing.cast("dict[str, Any]", predicate(certificate(**RULED))["people"])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (standing(until=date(2028, 6, 30)), "another record type, rule or time"),
        (standing(record_type="footage"), "another record type, rule or time"),
        (standing(rule="cd" * 32), "another record type, rule or time"),
        (standing(kind=RulingKind.REVOKED), "not one that was proposed and agreed to"),
        (standing(person="mei"), "one person"),
        (standing(second=DIRECTOR), "one person"),
        (standing(at=at(6)), "not in force"),
        (standing(at=at(11)), "not in force"),
        (dataclasses.replace(standing(), id="0" * 16), "another id"),
        (dataclasses.replace(standing(), agreed=standing(person="cy").agreed), "another id"),
        (dataclasses.replace(standing(), agreed=dataclasses.replace(standing().agreed, signature=standing().proposed.signature)), "not valid"),
        (dataclasses.replace(standing(), proposed=standing().agreed), "not one that was proposed"),
    ],
)  # fmt: skip
def test_a_standing_approval_that_does_not_cover_the_case_is_refused(wrong: Standing, told: str) -> None:
    with pytest.raises(VerificationFailed, match=told):
        certificate(**RULED, people__standing=wrong)


def test_cases_that_are_approved_one_by_one_have_no_standing_approval() -> None:
    with pytest.raises(VerificationFailed, match="one by one"):
        certificate(people__standing=standing())


def test_the_schema_knows_exactly_the_fields_that_are_written() -> None:
    CONFORMS.check_schema(SCHEMA)
    kinds = [kind for kind in vars(facts).values() if dataclasses.is_dataclass(kind) and kind is not Facts]
    named = {
        typing.cast(type, kind).__name__: kind
        for kind in (
            *kinds,
            ApprovalStatement,
            RulingStatement,
            Assertion,
            media.Lot,
            media.StepStatement,
            media.Trail,
        )
    }
    for name, kind in {**named, "SignedRuling": Approval}.items():
        described = SCHEMA["$defs"][name]
        fields = dataclasses.fields(kind)
        assert sorted(described["properties"]) == sorted(camel(field.name) for field in fields)
        always = [camel(field.name) for field in fields if not field.metadata.get("optional")]
        assert sorted(described["required"]) == sorted(always)
    by_hand = typing.cast("dict[str, Any]", media.statement(media_facts.facts())["predicate"])
    for name, made in (
        ("CertificateOfDestruction", predicate(certificate())),
        ("AttestedDestruction", by_hand),
    ):
        top = SCHEMA["$defs"][name]
        assert sorted(top["required"]) == sorted(top["properties"]) == sorted(made)
    for name in ("summary", "exceptions"):
        assert sorted(SCHEMA["$defs"][f"Attested{name.title()}"]["properties"]) == sorted(by_hand[name])
    kinds_of_media = SCHEMA["$defs"]["Lot"]["properties"]["media"]["items"]["allOf"][1]["properties"][
        "mediaType"
    ]
    assert kinds_of_media["enum"] == [kind.value for kind in media.MediaType]


def test_every_field_is_explained_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "certificate.md").read_text(encoding="utf-8")
    for name, described in SCHEMA["$defs"].items():
        for field in described.get("properties", {}):
            assert f"`{field}`" in text, f"{name}.{field}"


def test_facts_survive_writing_and_reading() -> None:
    made = predicate(certificate())
    rest = {name: made[name] for name in made if name not in ("summary", "exceptions", "sentences")}
    again = read(Facts, rest, "predicate")
    assert predicate(again) == made


def test_a_case_that_destroyed_nothing_certifies_nothing() -> None:
    nothing = place(destroyed=0, already_absent=5, seen_absent=0)
    with pytest.raises(Refused, match="a case that destroyed nothing certifies nothing"):
        certificate(what__locations=(nothing,))
    with pytest.raises(Refused):
        certificate(what__locations=())


REFUSED: dict[str, dict[str, Any]] = {
    "items do not add up": {"what__items": 9},
    "an outcome too many": {"what__locations": (place(unknown=2),)},
    "leaves do not add up": {"evidence__leaves": 7},
    "more destroyed than seen absent": {"what__locations": (place(seen_absent=3),)},
    "more seen absent than there was": {"what__locations": (place(seen_absent=6),)},
    "one location makes up for another": {
        "what__locations": (
            place(destroyed=2, seen_absent=1, already_absent=0, withheld=0, not_destroyed=0, unknown=0),
            place(location="other", destroyed=2, seen_absent=3),
        )
    },
    "a location twice": {
        "what__locations": (
            place(destroyed=2, seen_absent=2, already_absent=0, withheld=0, not_destroyed=0, unknown=0),
            place(
                destroyed=2, seen_absent=2, already_absent=1, withheld=1, not_destroyed=1, unknown=1, size=1
            ),
        ),
        "what__items": 8,
    },
    "a negative count": {"what__locations": (place(withheld=-1, unknown=3),)},
    "past maximum more than destroyed": {"authority__past_maximum": 5},
    "root is no hash": {"evidence__root": "00"},
    "another kind of tree": {"evidence__tree": "other"},
    "only one approval": {"people__approvals": (approved(DIRECTOR, "Mei Lind"),)},
    "one person twice": {
        "people__approvals": (approved(DIRECTOR, "Mei Lind"), approved(COUNSEL, "ＭEI  LIND"))
    },
    "an approval of another manifest": {
        "people__approvals": (approved(DIRECTOR, "Mei Lind", manifest="00"), approved(COUNSEL, "Jo Reyes"))
    },
    "an approval of another schedule": {"authority__schedule_digest": "00"},
    "approved after the start": {"how__started": at(8)},
    "ended before it started": {"how__ended": at(9, 59)},
    "issued before it ended": {"identity__issued": at(10, 59)},
    "holds checked before": {"statement__holds_checked_at": at(9, 59)},
    "holds checked after": {"statement__holds_checked_at": at(11, 1)},
    "decided as of a day to come": {"authority__on": date(2026, 11, 22)},
    "decided as of the last day there is": {"authority__on": date.max},
    "minimum not over": {"authority__minimum_met_on": date(2026, 11, 20)},
    "dates inclusive of the future": {"what__latest": date(2026, 11, 20)},
    "dates the wrong way round": {"what__earliest": date(2026, 11, 19)},
    "half an inclusive range": {"what__earliest": None},
    "no rule": {"authority__rules": ()},
    "retention not met": {"statement__retention_met": False},
    "a matter is pending": {"statement__no_pending_matter": False},
    "final while a window is open": {
        "identity__state": State.FINAL,
        "what__locations": (place(unknown=0, withheld=2),),
    },
    "final with a window without end": {
        "identity__state": State.FINAL,
        "what__locations": (place(unknown=0, withheld=2),),
        "residual": Residual(windows=(Window(copy="free space", store="evergreen", until=None),)),
    },
    "final with an unknown outcome": {"identity__state": State.FINAL, "residual": Residual()},
    "the word": {"what__locations": (place(technique="made Unrecoverable"),)},
    "a hold by name": {"what__locations": (place(not_claimed=("object is under legal hold",)),)},
    "a control character": {"what__locations": (place(technique="a\x1b[2Jb"),)},
    "a lone surrogate": {"what__locations": (place(technique="a\udcff"),)},
    "a very long text": {"what__locations": (place(technique="a" * 5000),)},
    "no technique": {"what__locations": (place(technique=" "),)},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_must_not_be_certified_is_refused(name: str) -> None:
    with pytest.raises(VerificationFailed, match="must not be made") as refused:
        certificate(**REFUSED[name])
    assert "\n" not in str(refused.value)


def test_a_final_certificate_waits_for_every_window() -> None:
    settled = (place(unknown=0, withheld=2),)
    later = at(12) + timedelta(days=90)
    made = certificate(identity__state=State.FINAL, identity__issued=later, what__locations=settled)
    assert "This certificate is provisional." in statement_sentences(certificate())
    assert "This certificate is provisional." not in statement_sentences(made)


def statement_sentences(made: Certificate) -> list[Any]:
    return typing.cast("list[Any]", predicate(made)["sentences"])


def test_the_method_claimed_is_the_weakest_over_all_locations() -> None:
    def over(*methods: Method) -> object:
        part: dict[str, Any] = {"already_absent": 0, "withheld": 0, "not_destroyed": 0, "unknown": 0}
        places = tuple(
            LocationReport(
                location=str(i),
                store="s",
                destroyed=4,
                seen_absent=4,
                method=m,
                technique="t",
                verification="v",
                **part,
            )
            for i, m in enumerate(methods)
        )
        made = certificate(what__locations=places)
        summary = derived(made)["summary"]
        assert isinstance(summary, dict)
        return summary["method"]

    assert over(Method.DESTROY, Method.PURGE) == "purge"
    assert over(Method.CLEAR, Method.CRYPTOGRAPHIC_ERASE) == "clear"
    assert over(Method.DE_IDENTIFY, Method.DESTROY) == "de-identify"
    assert over(Method.PURGE, Method.NONE_CLAIMED) == "none-claimed"


def test_the_latest_window_decides_and_one_without_end_leaves_no_date() -> None:
    windows = certificate().residual.windows
    assert irrecoverable_from(Residual(windows=windows)) == (date(2027, 2, 18), "backups (evergreen)")
    endless = Window(copy="free space", store="files", until=None)
    assert irrecoverable_from(Residual(windows=(*windows, endless))) == (
        None,
        "free space (files): no date is known",
    )
    assert irrecoverable_from(Residual()) == (None, "no window was declared")


def test_exceptions_are_generic_and_name_no_hold() -> None:
    made = predicate(certificate())
    assert made["exceptions"] == {"withheld": 1, "failed": 1, "unknown": 1}
    saying = [text for text in texts(made) if "hold" in text.lower()]
    assert saying == ["Holds checked at 2026-11-20T10:59:30Z, hold epoch 41."]


def test_the_statement_says_what_a_custodian_must_be_able_to_say() -> None:
    text = " ".join(statement_sentences(certificate()))
    assert (
        "pending or reasonably anticipated litigation, investigation, audit or public-records request" in text
    )
    assert "retention required by the schedule named was met" in text
    assert "No sanitization of any storage medium is claimed." in text
    assert "2027-02-18" in text
    assert "unrecoverable" not in text.lower()


def test_sizes_are_known_only_when_every_location_knows() -> None:
    part: dict[str, Any] = {
        "destroyed": 2,
        "seen_absent": 2,
        "already_absent": 0,
        "withheld": 2,
        "not_destroyed": 0,
        "unknown": 0,
    }
    both = (place(**part, size=10), place(**part, location="b", size=5))
    one = (place(**part, size=10), place(**part, location="b"))
    assert sizes(both) == 15
    assert sizes(one) is None


def sizes(places: tuple[LocationReport, ...]) -> object:
    summary = derived(Facts(**groups(what__locations=places)))["summary"]
    assert isinstance(summary, dict)
    return summary["size"]


def test_no_reference_can_be_found_in_a_certificate() -> None:
    canaries = [f"store/place/CANARY-{i}-patron@example.org" for i in range(8)]
    data = envelope.sign(statement(certificate()), [LIBRARY])
    leaves = leaf_file(canaries)
    payload = envelope.read(data).payload
    for where in (data, payload, leaves):
        assert b"CANARY" not in where
        assert not any(canary.split("/")[2].encode() in where for canary in canaries)
    assert b"Three Rivers Library District" in payload  # the search does find what is there


def test_periods_are_written_as_iso_8601() -> None:
    assert duration(Period(years=1, months=6)) == "P1Y6M"
    assert duration(Period(days=30)) == "P30D"
    assert duration(Period()) == "P0D"
