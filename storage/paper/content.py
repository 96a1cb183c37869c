"""What the page says: plain words made of the facts of a certificate, and of nothing else.

Pure. Refuses to say more than the envelope does: every number, date and name comes from it, totals and the statement from
`retention.certificate`. Days are written out, times are UTC, nothing is abbreviated that a court would have to guess.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from re import fullmatch
from typing import TypeVar, cast

from retention import certificate as form
from retention import envelope as envelopes
from retention.document import JSON, read
from retention.errors import VerificationFailed
from retention.facts import AppliedRule, Facts, LocationReport, Method, State, Window

T = TypeVar("T")

MAX_LISTED = 2
"""So many approvals, copies and rules stand on the first page, or one more where that is all; the rest stands in an annex."""

COUNTS = (
    ("destroyed", "destroyed"),
    ("already_absent", "already gone"),
    ("withheld", "retained"),
    ("not_destroyed", "not destroyed"),
    ("unknown", "unknown"),
)

METHODS = {
    Method.DESTROY: "Destroy: the medium itself was destroyed.",
    Method.PURGE: "Purge: made infeasible to recover with state-of-the-art laboratory techniques.",
    Method.CRYPTOGRAPHIC_ERASE: "Cryptographic erase: what was stored is encrypted, and the keys that open it were destroyed.",
    Method.CLEAR: "Clear: made infeasible to recover with ordinary tools.",
    Method.DE_IDENTIFY: "De-identify: personal data was removed or replaced; what remains names nobody.",
    Method.NONE_CLAIMED: "Deleted from the systems named. No sanitization of any storage medium is claimed.",
}
"""In the sense of NIST SP 800-88."""

CUTOFFS = {
    "day": "counted from the end of that day",
    "month": "counted from the end of that month",
    "fiscal-year": "counted from the end of that fiscal year",
    "event": "counted from that event",
}

APPROVALS = {
    "standing": "By standing approval: the schedule itself.",
    "custodian": "By a custodian.",
    "two-person": "By two different people.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """An envelope read for showing. That it reads says nothing about its signatures."""

    facts: Facts
    digest: str
    """SHA-256 (hex) of the signed statement."""
    keyids: tuple[str, ...]


def parse(envelope: bytes) -> Parsed:
    """The facts of a certificate in its envelope. Raises `VerificationFailed` for anything else."""
    signed = envelopes.read(envelope)
    statement = signed.statement()
    predicate = statement.get("predicate")
    if statement.get("predicateType") != form.PREDICATE_TYPE or not isinstance(predicate, dict):
        raise VerificationFailed("the statement is not a certificate of destruction of this version")
    given = {name: value for name, value in predicate.items() if name not in _COMPUTED}
    facts = read(Facts, given, "predicate", [])
    for problem in (*form.wording_problems(facts), *form.count_problems(facts)):
        raise VerificationFailed(problem)
    if not fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", facts.identity.id):
        raise VerificationFailed("the id of the certificate cannot be the name of a file")
    return Parsed(
        facts=facts,
        digest=sha256(signed.payload).hexdigest(),
        keyids=tuple(one.keyid for one in signed.signatures),
    )


_COMPUTED = ("summary", "exceptions", "sentences")


def attachment(facts: Facts) -> str:
    """The name under which the envelope is attached."""
    return f"{facts.identity.id}.dsse.json"


def page(parsed: Parsed) -> dict[str, JSON]:
    """Everything the template shows, as text."""
    facts = parsed.facts
    identity, what = facts.identity, facts.what
    done = "de-identified" if facts.authority.disposition == "anonymize" else "destroyed"
    return {
        "organization": identity.organization,
        "id": identity.id,
        "case": identity.case,
        "state": identity.state.value,
        "stateNote": _state(facts),
        "issued": moment(identity.issued),
        "issuedParts": list(identity.issued.astimezone(UTC).timetuple()[:6]),
        "lead": _lead(facts, done),
        "figures": [
            {"value": f"{form.total(facts, name):,}", "label": done if name == "destroyed" else label}
            for name, label in COUNTS
        ],
        "volume": _volume(facts),
        "blocks": [{"label": label, "lines": _texts(lines)} for label, lines in _blocks(facts)],
        "custodian": identity.custodian,
        "command": f"retention certificate verify {identity.id}.pdf --key KEY",
        "attachment": attachment(facts),
        "code": _code(parsed),
        "software": f"{identity.software} {identity.version}",
        "places": [_place(facts, place) for place in what.locations],
        "approvals": _approvals(facts),
        "media": [
            _texts((one.make, one.model, one.serial, one.property_number or "", one.media_type, one.source, one.categorization))
            for one in what.media
        ],
        "rules": [
            rule(one, facts.authority.trigger, facts.authority.cutoff)
            for one in facts.authority.rules[len(_first(facts.authority.rules)) :]
        ],
        "evidence": [_texts(pair) for pair in _evidence(parsed)],
    }  # fmt: skip


def _lead(facts: Facts, done: str) -> list[JSON]:
    """The sentence the page exists for, as (text, emphasised) pairs."""
    count = form.total(facts, "destroyed")
    return [
        ["On ", False],
        [_span(facts.how.started, facts.how.ended), False],
        [", ", False],
        [facts.identity.organization, False],
        [f" {done} {'one record' if count == 1 else f'{count:,} records'} of the series ", False],
        [facts.authority.title, True],
        [f", after the time {'they' if count > 1 else 'it'} had to be kept was over.", False],
    ]


def _state(facts: Facts) -> str:
    since, _ = form.irrecoverable_from(facts.residual)
    replaced = f" It replaces {facts.identity.supersedes}." if facts.identity.supersedes else ""
    if facts.identity.state is State.FINAL:
        return f"Nothing is pending.{replaced}"
    if form.total(facts, "unknown"):
        return f"Provisional, and stays so: an outcome is unknown.{replaced}"
    if since is None:
        return f"Provisional: nobody can say when the last copy is gone.{replaced}"
    return f"Provisional until {day(since)}, when the last known copy is gone.{replaced}"


def _volume(facts: Facts) -> str:
    summary = cast("dict[str, JSON]", form.derived(facts)["summary"])
    said = []
    if isinstance(summary["size"], int):
        said.append(size(summary["size"]))
    if isinstance(summary["seconds"], int):
        said.append(f"{length(summary['seconds'])} of footage")
    return " · ".join(said)


def _blocks(facts: Facts) -> Iterator[tuple[str, list[str]]]:
    yield "Rule and authority", _rules(facts)
    yield "Dates", _dates(facts)
    yield "Method", _method(facts)
    yield "Verification", _verification(facts)
    yield "Exceptions", _exceptions(facts)
    yield "Remaining copies", _residual(facts)
    yield "People", _people(facts)
    yield "Statement", _statement(facts)


def _rules(facts: Facts) -> list[str]:
    authority = facts.authority
    lines = [rule(one, authority.trigger, authority.cutoff) for one in _first(authority.rules)]
    if more := len(authority.rules) - len(lines):
        lines.append(f"{more} more rules: see Annex B.")
    lines.append(f"Retention schedule {authority.schedule_version}; owner of the series: {authority.owner}.")
    return lines


def rule(one: AppliedRule, trigger: str, cutoff: str) -> str:
    """One rule with its authority, in words."""
    least = period(one.minimum)
    kept = f"Kept at least {least}" if least else "No minimum"
    if one.maximum is not None:
        kept += f" and at most {period(one.maximum) or 'no time at all'}" if least else f"; kept at most {period(one.maximum) or 'no time at all'}"  # fmt: skip
    series = f", series {one.series}" if one.series else ""
    return f"{kept} after “{trigger}”, {CUTOFFS.get(cutoff, cutoff)}. Authority: {one.citation}{series}."


def _dates(facts: Facts) -> list[str]:
    what, authority = facts.what, facts.authority
    lines = []
    if what.earliest is not None and what.latest is not None:
        if what.earliest == what.latest:
            lines.append(f"Records dated {day(what.earliest)}.")
        else:
            lines.append(f"Records dated {day(what.earliest)} to {day(what.latest)}.")
    lines.append(
        f"Decided as of {day(authority.on)} ({authority.zone}); every minimum was over by {day(authority.minimum_met_on)}."
    )
    lines.append(f"Begun {moment(facts.how.started)}, ended {moment(facts.how.ended)}.")
    if authority.past_maximum:
        lines.append(f"{authority.past_maximum:,} of them destroyed after the longest time allowed.")
    return lines


def _method(facts: Facts) -> list[str]:
    order = list(Method)
    weakest = max((place.method for place in facts.what.locations), key=order.index)
    lines = [METHODS[weakest]]
    if len({place.method for place in facts.what.locations}) > 1:
        lines.append("This is the weakest method over all locations; Annex A has each.")
    if facts.how.keys_destroyed:
        lines.append(f"{count(len(facts.how.keys_destroyed), 'key')} destroyed.")
    return lines


def _verification(facts: Facts) -> list[str]:
    verification = facts.verification
    seen = sum(place.seen_absent for place in facts.what.locations)
    drawn = "" if verification.sample == "all" else f" Sample: {verification.sample}."
    return [
        f"{_sentence(verification.method)}{drawn}",
        f"{seen:,} of {facts.what.items:,} seen to be absent, by {facts.people.verifier.name} {facts.people.verifier.version}.",
    ]


def _exceptions(facts: Facts) -> list[str]:
    said = []
    for name, words in (
        ("withheld", "retained: not eligible"),
        ("not_destroyed", "not destroyed: the read-back still found it"),
        ("unknown", "unknown: no read-back was possible"),
    ):
        number = form.total(facts, name)
        if number:
            said.append(f"{number:,} {words}.")
    return said or ["None."]


def _residual(facts: Facts) -> list[str]:
    residual = facts.residual
    since, term = form.irrecoverable_from(residual)
    if since is not None:
        lines = [f"Copies may remain until {day(since)}; the last is: {term}."]
    else:
        lines = [f"No date is given from which no copy remains: {term}."]
    listed = [f"{one.copy} ({one.store}) {until(one)}" for one in _first(residual.windows)]
    if len(residual.windows) > 1:
        more = len(residual.windows) - len(listed)
        lines.append(_sentence("; ".join(listed) + (f"; {more} more in Annex A" if more else "")))
    for label, values in (("Replicas", residual.replicas), ("Third parties", residual.third_parties)):
        if values:
            lines.append(f"{label}: {'; '.join(values)}.")
    if residual.statistics_kept:
        lines.append(f"Statistics kept, without personal data: {_sentence(residual.statistics_kept)}")
    return lines


def _people(facts: Facts) -> list[str]:
    people, given = facts.people, facts.people.approvals
    lines = [
        f"{person.person}, {person.title}: approved {_at(person.statement)}." for person in _first(given)
    ]
    if more := len(given) - len(lines):
        lines.append(f"{more} more approvals: see Annex B.")
    if not given:
        lines.append(APPROVALS.get(facts.authority.approval, facts.authority.approval))
    when = "" if people.preparer.on is None else f", {day(people.preparer.on)}"
    lines.append(f"Prepared by {people.preparer.name}, {people.preparer.title}{when}.")
    lines.append(f"Destroyed by {people.destroyer.name} {people.destroyer.version}.")
    for label, person in (("Witness", people.witness), ("Accepted by", facts.verification.accepted_by)):
        if person is not None:
            when = "" if person.on is None else f", {day(person.on)}"
            lines.append(f"{label}: {person.name}, {person.title}{when}.")
    return lines


def _statement(facts: Facts) -> list[str]:
    return [
        "The retention required was met for every record destroyed. No litigation, investigation, audit or public-records "
        "request was pending or reasonably anticipated.",
        f"Holds last checked {moment(facts.statement.holds_checked_at)}, epoch {facts.statement.hold_epoch}.",
    ]


def _code(parsed: Parsed) -> str:
    """What the code on the page holds: enough to find the entry in the log and to compare it with the paper."""
    identity = parsed.facts.identity
    return "\n".join(
        (
            f"certificate {identity.id}",
            f"state {identity.state.value}",
            f"statement sha256 {parsed.digest}",
            f"verify: retention certificate verify {identity.id}.pdf --key KEY",
        )
    )


def _place(facts: Facts, place: LocationReport) -> dict[str, JSON]:
    windows = [one for one in facts.residual.windows if one.store == place.store]
    rows = [
        ("Size", [] if place.size is None else [size(place.size)]),
        ("Footage", [] if place.seconds is None else [length(place.seconds)]),
        ("Method", [METHODS[place.method]]),
        ("Technique", [_sentence(place.technique)]),
        ("Read back", [_sentence(place.verification), f"{place.seen_absent:,} seen to be absent."]),
        ("Not claimed", [_sentence(one) for one in place.not_claimed]),
        ("Copies", [_sentence(f"{one.copy} {until(one)}") for one in windows]),
    ]
    return {
        "name": place.location,
        "store": place.store,
        "copy": place.copy_class,
        "counts": [f"{getattr(place, name):,}" for name, _ in COUNTS],
        "rows": [{"label": label, "lines": _texts(lines)} for label, lines in rows if lines],
    }


def _approvals(facts: Facts) -> list[JSON]:
    return [
        _texts((one.person, one.title, _at(one.statement), ", ".join(_lifts(one.statement)) or "none"))
        for one in facts.people.approvals
    ]  # fmt: skip


def _evidence(parsed: Parsed) -> Iterator[tuple[str, str]]:
    facts = parsed.facts
    authority, evidence = facts.authority, facts.evidence
    yield "Certificate", facts.identity.id
    yield "Case", facts.identity.case
    if facts.identity.supersedes:
        yield "Replaces", facts.identity.supersedes
    yield "Statement, SHA-256", parsed.digest
    for keyid in parsed.keyids:
        yield "Signed by key", keyid
    for given in facts.people.approvals:
        yield f"Key of {given.person}", given.keyid
    yield "Record series", authority.record_type
    yield "Schedule, SHA-256", authority.schedule_digest
    yield "Manifest, SHA-256", facts.what.manifest_digest
    yield "Leaves", f"{evidence.leaves:,}"
    yield "Merkle root", evidence.root
    yield "Tree", evidence.tree
    if evidence.log_index is not None:
        yield "Index in the log", str(evidence.log_index)
    if evidence.checkpoint:
        yield "Log before it", _checkpoint(evidence.checkpoint)
    for key in facts.how.keys_destroyed:
        yield "Key destroyed", key
    yield "Software", f"{facts.identity.software} {facts.identity.version}"


def _checkpoint(text: str) -> str:
    """Origin, size and root of a signed note in base64; what is none as it stands."""
    try:
        lines = base64.b64decode(text, validate=True).decode("utf-8").split("\n")
    except ValueError:
        return text
    return f"{lines[0]}, {lines[1]} entries, root {lines[2]}" if len(lines) > 3 else text


def _texts(values: Sequence[str]) -> list[JSON]:
    return list(values)


def _first(values: tuple[T, ...]) -> tuple[T, ...]:
    return values if len(values) <= MAX_LISTED + 1 else values[:MAX_LISTED]


def _at(statement: dict[str, JSON]) -> str:
    """When an approval was given; it is text in the signed statement."""
    text = str(statement.get("at"))
    return (
        moment(datetime.fromisoformat(text)) if fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text) else text
    )


def _lifts(statement: dict[str, JSON]) -> list[str]:
    lifts = statement.get("lifts")
    return [str(one) for one in lifts] if isinstance(lifts, list) else []


def _sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def day(value: date) -> str:
    """ "November 20, 2026", whatever the machine's language is."""
    return f"{_MONTHS[value.month - 1]} {value.day}, {value.year}"


_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")  # fmt: skip


def moment(value: datetime) -> str:
    """ "November 20, 2026, 10:00:30 UTC"."""
    value = value.astimezone(UTC)
    return f"{day(value.date())}, {value:%H:%M:%S} UTC"


def _span(started: datetime, ended: datetime) -> str:
    first, last = started.astimezone(UTC).date(), ended.astimezone(UTC).date()
    return day(first) if first == last else f"{day(first)} to {day(last)}"


def until(window: Window) -> str:
    """Until when a copy remains."""
    return "without a known end" if window.until is None else f"until {day(window.until)}"


def count(number: int, one: str) -> str:
    """ "1 key", "2,000 keys"."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def period(duration: str) -> str:
    """ "1 year and 6 months" of ``P1Y6M``; empty for none; what is no such period as it stands."""
    found = fullmatch(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?", duration)
    if found is None or not any(found.groups()):
        return duration
    parts = [count(int(number), unit) for number, unit in zip(found.groups(), ("year", "month", "day"), strict=True) if int(number or 0)]  # fmt: skip
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def size(octets: int) -> str:
    """ "1.2 GB": decimal units, one place."""
    if octets < 1000:
        return count(octets, "byte")
    value, unit = octets / 1000, "kB"
    for larger in ("MB", "GB", "TB", "PB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.1f} {unit}"


def length(seconds: int) -> str:
    """ "3 h 20 min"."""
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"
