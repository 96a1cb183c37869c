"""What the page says: plain words made of the facts of a certificate, and of nothing else. For media destroyed by hand see
`storage.paper.by_hand`.

Pure. Refuses to say more than the envelope does: every number, date and name comes from it, totals and the statement from
`retention.certificate`. Days are written out, times are UTC, nothing is abbreviated that a court would have to guess.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from re import fullmatch
from typing import TypeVar, cast

from retention import certificate as form
from retention.approval import Approval
from retention.document import JSON
from retention.facts import Facts, LocationReport, Method, Standing, State
from storage.paper import words
from storage.paper.parsed import Parsed, named

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


def page(facts: Facts, parsed: Parsed) -> dict[str, JSON]:
    """Everything the template shows, as text. ``facts``: those that were parsed."""
    what = facts.what
    done = "de-identified" if facts.authority.disposition == "anonymize" else "destroyed"
    labels = {"destroyed": f"{done}, it said" if _withdrawn(facts) else done}
    return {
        **framed(parsed, facts.identity.state.value),
        "description": "What was destroyed, under which rule, by which method, approved by whom and how it was checked.",
        "stateNote": _state(facts),
        "notice": "",
        "warning": _warning(facts),
        "lead": _lead(facts, done),
        "figures": [
            {"value": f"{form.total(facts, name):,}", "label": labels.get(name, label)}
            for name, label in COUNTS
        ],
        "volume": "" if _withdrawn(facts) else _volume(facts),
        "blocks": blocks(_blocks(facts)),
        "byHand": [],
        "people": [],
        "places": [_place(facts, place) for place in what.locations],
        "approvals": _approvals(facts),
        "media": [
            texts((one.make, one.model, one.serial, one.property_number or "", one.media_type, one.source, one.categorization))
            for one in what.media
        ],
        "rules": [
            words.rule(one, facts.authority.trigger, facts.authority.cutoff)
            for one in facts.authority.rules[len(first(facts.authority.rules)) :]
        ],
        "evidence": [texts(pair) for pair in _evidence(facts, parsed)],
    }  # fmt: skip


def framed(parsed: Parsed, state: str) -> dict[str, JSON]:
    """What stands around every certificate, of whatever kind. ``state``: as the page calls it."""
    identity = parsed.facts.identity
    return {
        "organization": identity.organization,
        "id": identity.id,
        "state": state,
        "issued": words.moment(identity.issued),
        "issuedParts": list(identity.issued.astimezone(UTC).timetuple()[:6]),
        "custodian": identity.custodian,
        "command": f"retention certificate verify {identity.id}.pdf --key KEY",
        "attachment": named(parsed.facts),
        "code": _code(parsed, state),
    }


def blocks(told: Iterator[tuple[str, list[str]]]) -> list[JSON]:
    return [{"label": label, "lines": texts(lines)} for label, lines in told]


def _withdrawn(facts: Facts) -> bool:
    """Whether the page says that an earlier certificate no longer holds. What that one claimed is told as its claim."""
    return facts.identity.state is State.SUPERSEDED


def _then(facts: Facts) -> str:
    """Before what only the earlier certificate claims."""
    return "Claimed then. " if _withdrawn(facts) else ""


def _warning(facts: Facts) -> str:
    """What stands before everything else; empty for most."""
    if not _withdrawn(facts):
        return ""
    return f"Certificate {facts.identity.supersedes} no longer holds: {facts.identity.reason}. Nothing is claimed to be final."


def _lead(facts: Facts, done: str) -> list[JSON]:
    """The sentence the page exists for, as (text, emphasised) pairs."""
    count = form.total(facts, "destroyed")
    return [
        ["It said that on " if _withdrawn(facts) else "On ", False],
        [words.span(facts.how.started, facts.how.ended), False],
        [", ", False],
        [facts.identity.organization, False],
        [f" {done} {'one record' if count == 1 else f'{count:,} records'} of the series ", False],
        [facts.authority.title, True],
        [f", after the time {'they' if count > 1 else 'it'} had to be kept was over.", False],
    ]


def _state(facts: Facts) -> str:
    since, _ = form.irrecoverable_from(facts.residual)
    replaced = f" It replaces {facts.identity.supersedes}." if facts.identity.supersedes else ""
    if _withdrawn(facts):
        return replaced.strip()
    if facts.identity.state is State.FINAL:
        return f"Nothing is pending.{replaced}"
    if form.total(facts, "unknown"):
        return f"Provisional, and stays so: an outcome is unknown.{replaced}"
    if since is None:
        return f"Provisional: nobody can say when the last copy is gone.{replaced}"
    return f"Provisional until {words.day(since)}, when the last known copy is gone.{replaced}"


def _volume(facts: Facts) -> str:
    summary = cast("dict[str, JSON]", form.derived(facts)["summary"])
    said = []
    if isinstance(summary["size"], int):
        said.append(words.size(summary["size"]))
    if isinstance(summary["seconds"], int):
        said.append(f"{words.length(summary['seconds'])} of footage")
    return f"{' · '.join(said)} destroyed." if said else ""


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
    lines = [words.rule(one, authority.trigger, authority.cutoff) for one in first(authority.rules)]
    if more := len(authority.rules) - len(lines):
        lines.append(f"{more} more rules: see Annex B.")
    lines.append(f"Retention schedule {authority.schedule_version}; owner of the series: {authority.owner}.")
    return lines


def _dates(facts: Facts) -> list[str]:
    what, authority = facts.what, facts.authority
    lines = []
    if what.earliest is not None and what.latest is not None:
        if what.earliest == what.latest:
            lines.append(f"Records dated {words.day(what.earliest)}.")
        else:
            lines.append(f"Records dated {words.day(what.earliest)} to {words.day(what.latest)}.")
    lines.append(
        f"Decided as of {words.day(authority.on)} ({authority.zone}); every minimum was over by {words.day(authority.minimum_met_on)}."
    )
    lines.append(f"Begun {words.moment(facts.how.started)}, ended {words.moment(facts.how.ended)}.")
    if authority.past_maximum:
        lines.append(f"{authority.past_maximum:,} of them destroyed after the longest time allowed.")
    return lines


def _method(facts: Facts) -> list[str]:
    order = list(Method)
    weakest = max((place.method for place in facts.what.locations), key=order.index)
    lines = [f"{_then(facts)}{words.METHODS[weakest]}"]
    if len({place.method for place in facts.what.locations}) > 1:
        lines.append("This is the weakest method over all locations; Annex A has each.")
    if facts.how.keys_destroyed:
        lines.append(f"{_then(facts)}{words.count(len(facts.how.keys_destroyed), 'key')} destroyed.")
    return lines


def _verification(facts: Facts) -> list[str]:
    verification = facts.verification
    seen = sum(place.seen_absent for place in facts.what.locations)
    drawn = "" if verification.sample == "all" else f" Sample: {verification.sample}."
    return [
        f"{words.sentence(verification.method)}{drawn}",
        f"{seen:,} of {facts.what.items:,} seen to be absent, by {facts.people.verifier.name} {facts.people.verifier.version}.",
    ]


def _exceptions(facts: Facts) -> list[str]:
    said = []
    for name, told in (
        ("withheld", "retained: not eligible"),
        ("not_destroyed", "not destroyed: the read-back still found it"),
        ("unknown", "unknown: no read-back was possible"),
    ):
        number = form.total(facts, name)
        if number:
            said.append(f"{number:,} {told}.")
    return said or ["None."]


def _residual(facts: Facts) -> list[str]:
    residual = facts.residual
    since, term = form.irrecoverable_from(residual)
    if since is not None and facts.identity.state is State.FINAL:
        lines = [f"The last known copy was gone by {words.day(since)}: {term}."]
    elif since is not None:
        lines = [f"Copies may remain until {words.day(since)}; the last is: {term}."]
    else:
        lines = [f"No date is given from which no copy remains: {term}."]
    listed = [f"{one.copy} ({one.store}) {words.until(one)}" for one in first(residual.windows)]
    if len(residual.windows) > 1:
        more = len(residual.windows) - len(listed)
        lines.append(words.sentence("; ".join(listed) + (f"; {more} more in Annex A" if more else "")))
    for label, values in (("Replicas", residual.replicas), ("Third parties", residual.third_parties)):
        if values:
            lines.append(f"{label}: {'; '.join(values)}.")
    if residual.statistics_kept:
        lines.append(f"Statistics kept, without personal data: {words.sentence(residual.statistics_kept)}")
    return lines


def _people(facts: Facts) -> list[str]:
    people, given = facts.people, facts.people.approvals
    lines = [
        f"{person.person}, {person.title}: approved {signed_at(person.statement)}." for person in first(given)
    ]
    if more := len(given) - len(lines):
        lines.append(f"{more} more approvals: see Annex B.")
    if people.standing is not None:
        lines.append(_standing(people.standing))
    elif not given:
        lines.append(words.APPROVALS.get(facts.authority.approval, facts.authority.approval))
    when = "" if people.preparer.on is None else f", {words.day(people.preparer.on)}"
    lines.append(f"Prepared by {people.preparer.name}, {people.preparer.title}{when}.")
    lines.append(f"Destroyed by {people.destroyer.name} {people.destroyer.version}.")
    for label, person in (("Witness", people.witness), ("Accepted by", facts.verification.accepted_by)):
        if person is not None:
            when = "" if person.on is None else f", {words.day(person.on)}"
            lines.append(f"{label}: {person.name}, {person.title}{when}.")
    return lines


def _standing(standing: Standing) -> str:
    first, second = standing.proposed, standing.agreed
    return (
        f"Under the standing approval {standing.id} of the rule, until {words.day(standing.until)}: proposed by {first.person}, "
        f"{first.title}, {signed_at(first.statement)}; agreed to by {second.person}, {second.title}, {signed_at(second.statement)}."
    )


def _statement(facts: Facts) -> list[str]:
    return [
        "The retention required was met for every record destroyed. No litigation, investigation, audit or public-records "
        "request was pending or reasonably anticipated.",
        f"Holds last checked {words.moment(facts.statement.holds_checked_at)}, epoch {facts.statement.hold_epoch}.",
    ]


def _code(parsed: Parsed, state: str) -> str:
    """What the code on the page holds: enough to find the entry in the log and to compare it with the paper."""
    id = parsed.facts.identity.id
    return "\n".join(
        (
            f"certificate {id}",
            f"state {state}",
            f"statement sha256 {parsed.digest}",
            f"verify: retention certificate verify {id}.pdf --key KEY",
        )
    )


def _place(facts: Facts, place: LocationReport) -> dict[str, JSON]:
    windows = [one for one in facts.residual.windows if one.store == place.store]
    rows = [
        ("Size", [] if place.size is None else [words.size(place.size)]),
        ("Footage", [] if place.seconds is None else [words.length(place.seconds)]),
        ("Method", [f"{_then(facts)}{words.METHODS[place.method]}"]),
        ("Technique", [words.sentence(place.technique)]),
        ("Read back", [words.sentence(place.verification), f"{place.seen_absent:,} seen to be absent."]),
        ("Not claimed", [words.sentence(one) for one in place.not_claimed]),
        ("Copies", [words.sentence(f"{one.copy} {words.until(one)}") for one in windows]),
    ]
    return {
        "name": place.location,
        "store": place.store,
        "copy": place.copy_class,
        "counts": [f"{getattr(place, name):,}" for name, _ in COUNTS],
        "rows": [{"label": label, "lines": texts(lines)} for label, lines in rows if lines],
    }


def _approvals(facts: Facts) -> list[JSON]:
    return [
        texts((one.person, one.title, signed_at(one.statement), ", ".join(_lifts(one.statement)) or "none"))
        for one in facts.people.approvals
    ]  # fmt: skip


def _evidence(facts: Facts, parsed: Parsed) -> Iterator[tuple[str, str]]:
    authority, evidence = facts.authority, facts.evidence
    yield "Certificate", facts.identity.id
    yield "Case", facts.identity.case
    if facts.identity.supersedes:
        yield "Replaces", facts.identity.supersedes
    yield "Statement, SHA-256", parsed.digest
    for keyid in parsed.keyids:
        yield "Signed by key", keyid
    standing = facts.people.standing
    if standing is not None:
        yield "Standing approval", standing.id
        yield "Rule, SHA-256", standing.rule
    yield from keys_of(
        facts.people.approvals + (() if standing is None else (standing.proposed, standing.agreed))
    )
    yield "Record series", authority.record_type
    yield "Schedule, SHA-256", authority.schedule_digest
    yield "Manifest, SHA-256", facts.what.manifest_digest
    yield "Leaves", f"{evidence.leaves:,}"
    yield "Merkle root", evidence.root
    yield "Tree", evidence.tree
    if evidence.log_index is not None:
        yield "Index in the log", str(evidence.log_index)
    if evidence.checkpoint:
        yield "Log before it", log_before(evidence.checkpoint)
    for key in facts.how.keys_destroyed:
        yield "Key, claimed destroyed" if _withdrawn(facts) else "Key destroyed", key
    yield "Software", f"{facts.identity.software} {facts.identity.version}"


def keys_of(signed: Sequence[Approval]) -> Iterator[tuple[str, str]]:
    """The keys that people signed with, each once."""
    named = {(one.person, one.keyid): "Key" if one.assertion is None else "Passkey" for one in signed}
    for (person, keyid), kind in named.items():
        yield f"{kind} of {person}", keyid


def log_before(text: str) -> str:
    """Origin, size and root of a signed note in base64; what is none as it stands."""
    try:
        lines = base64.b64decode(text, validate=True).decode("utf-8").split("\n")
    except ValueError:
        return text
    return f"{lines[0]}, {lines[1]} entries, root {lines[2]}" if len(lines) > 3 else text


def texts(values: Sequence[str]) -> list[JSON]:
    return list(values)


def first(values: tuple[T, ...]) -> tuple[T, ...]:
    return values if len(values) <= MAX_LISTED + 1 else values[:MAX_LISTED]


def signed_at(statement: dict[str, JSON]) -> str:
    """When a person signed; it is text in the signed statement."""
    text = str(statement.get("at"))
    return (
        words.moment(datetime.fromisoformat(text))
        if fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)
        else text
    )


def _lifts(statement: dict[str, JSON]) -> list[str]:
    lifts = statement.get("lifts")
    return [str(one) for one in lifts] if isinstance(lifts, list) else []
