"""Certificate of destruction: what follows from its facts, and what it refuses to say. An in-toto Statement v1.

Facts go in (`retention.facts`); totals, the method claimed, exceptions, the date and the sentences are computed here and nowhere
else. Refuses: a case that destroyed nothing, counts that do not add up, more destruction than read-backs saw, approvals that
do not cover the case, dates in an impossible order, the word "unrecoverable", and any text that names a legal hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

from retention import approval
from retention.document import JSON, camel, read, texts, write
from retention.errors import Refused, VerificationFailed
from retention.facts import TREE, Facts, Method, Residual, State
from retention.ruling import standing_problems
from retention.signing import PublicKey

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://retention.example/certificate-of-destruction/v1"
COUNTS = ("destroyed", "already_absent", "withheld", "not_destroyed", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate(Facts):
    """Facts that were found to be coherent. Cannot be built otherwise.

    Raises `Refused` for a case that destroyed nothing, `VerificationFailed` for anything else that must not be certified.
    """

    def __post_init__(self) -> None:
        if total(self, "destroyed") < 1:
            raise Refused("a case that destroyed nothing certifies nothing")
        for check in (count_problems, wording_problems, approval_problems, date_problems):
            for problem in check(self):
                raise VerificationFailed(f"this certificate must not be made: {problem}")


def total(facts: Facts, outcome: str) -> int:
    """Sum of one count over all locations."""
    return sum(getattr(place, outcome) for place in facts.what.locations)


def count_problems(facts: Facts) -> Iterator[str]:
    """Counts add up to the items and the leaves, and nothing is claimed that a read-back did not see."""
    what, evidence = facts.what, facts.evidence
    if total(facts, "destroyed") < 1:
        yield "a case that destroyed nothing certifies nothing"
    numbers = [
        getattr(place, name) or 0
        for place in what.locations
        for name in (*COUNTS, "seen_absent", "size", "seconds", "objects", "unsealed_before")
    ]
    authority = facts.authority
    counts = (
        what.items,
        evidence.leaves,
        authority.past_maximum,
        authority.withdrawn,
        facts.statement.hold_epoch,
    )
    if min([*numbers, *counts]) < 0:
        yield "a count is negative"
    if sum(place.items for place in what.locations) != what.items:
        yield "the outcomes of the locations do not add up to the items of the case"
    if evidence.leaves != what.items:
        yield "there is not exactly one leaf per item"
    if len({(place.store, place.location) for place in what.locations}) != len(what.locations):
        yield "a location is reported twice"
    for place in what.locations:
        if place.destroyed > place.seen_absent:
            yield "more is called destroyed than read-backs saw to be absent"
        if place.seen_absent > place.destroyed + place.already_absent:
            yield "more was seen absent than the outcomes say"
    if authority.past_maximum > total(facts, "destroyed"):
        yield "more records were past their maximum than were destroyed"
    if authority.withdrawn > total(facts, "destroyed"):
        yield "more records were withdrawn early than were destroyed"
    yield from _key_problems(facts)
    if not re.fullmatch("[0-9a-f]{64}", evidence.root) or evidence.tree != TREE:
        yield "the Merkle root is not one this version makes"


_KID = re.compile("[0-9a-f]{32}")


def _key_problems(facts: Facts) -> Iterator[str]:
    """One key for each sealed item destroyed, and no more claimed for a key's death than what it sealed allows."""
    keys, places = facts.how.keys_destroyed, facts.what.locations
    sealed = [place for place in places if place.objects is not None]
    if len(set(keys)) != len(keys) or not all(_KID.fullmatch(kid) for kid in keys):
        yield "an id of a key destroyed is none, or stands there twice"
    if len(keys) != sum(place.destroyed for place in sealed):
        yield "there is not exactly one key for each sealed item destroyed"
    if (facts.how.root is None) == bool(keys):
        yield "keys destroyed need the root key that had wrapped them, and nothing else does"
    for place in places:
        if (place.objects is None) != (place.unsealed_before is None):
            yield "objects made unreadable need the number of those that had been unencrypted"
        elif (place.unsealed_before or 0) > (place.objects or 0):
            yield "more objects had been unencrypted than were made unreadable"
        elif place.unsealed_before and place.method is not Method.NONE_CLAIMED:
            yield "a method is claimed for objects that had been stored unencrypted"


def approval_problems(facts: Facts, people: Mapping[str, PublicKey] | None = None) -> Iterator[str]:
    """The approvals cover this case, and so does a standing approval of its rule; see `retention.approval.problems`, `retention.ruling`."""
    yield from approval.problems(
        facts.people.approvals,
        kind=facts.authority.approval,
        case=facts.identity.case,
        manifest=facts.what.manifest_digest,
        schedule=facts.authority.schedule_digest,
        record_type=facts.authority.record_type,
        items=facts.what.items,
        people=people,
    )
    if facts.people.standing is not None:
        yield from standing_problems(
            facts.people.standing,
            kind=facts.authority.approval,
            record_type=facts.authority.record_type,
            started=facts.how.started,
            people=people,
        )


def date_problems(facts: Facts) -> Iterator[str]:
    """Dates follow one another as the events did. A day of slack where a local day meets a time in UTC."""
    identity, authority, what, how = facts.identity, facts.authority, facts.what, facts.how
    day = timedelta(days=1)
    if not how.started <= how.ended <= identity.issued:
        yield "start, end and issue are not in this order"
    if not how.started <= facts.statement.holds_checked_at <= how.ended:
        yield "holds were not checked between start and end"
    for given in facts.people.approvals:
        if str(given.statement.get("at")) > cast("str", write(how.started)):
            yield "an approval was given after the destruction had started"
    if authority.on - how.started.date() > day:
        yield "decided as of a day that had not come when the destruction started"
    if authority.minimum_met_on > authority.on:
        yield "the minimum was not over on the day of the decision"
    if (what.earliest is None) != (what.latest is None):
        yield "inclusive dates need both ends"
    if (
        what.earliest is not None
        and what.latest is not None
        and not what.earliest <= what.latest <= authority.on
    ):
        yield "the inclusive dates are not in order or lie after the day of the decision"
    if not authority.rules or not (facts.statement.retention_met and facts.statement.no_pending_matter):
        yield "the statement that retention was met, and that no matter is pending, is missing"
    if identity.state is State.FINAL:
        open_windows = any(
            w.until is None or w.until > identity.issued.date() for w in facts.residual.windows
        )
        if open_windows or total(facts, "unknown"):
            yield "it cannot be final while a window is open or an outcome is unknown"
    if (identity.state is State.SUPERSEDED) != bool(identity.reason):
        yield "a reason belongs to a superseded certificate, and to no other"
    if identity.reason is not None and identity.supersedes is None:
        yield "nothing is superseded"


_FORBIDDEN = re.compile(
    r"unrecoverabl|\b(legal|litigation|sealed|preservation)[\s_-]+holds?\b", re.IGNORECASE
)


def wording_problems(facts: Facts) -> Iterator[str]:
    """No text claims too much, points at a hold, or hides something; each location says how it destroys."""
    yield from text_problems(write(facts))
    for place in facts.what.locations:
        if not place.technique.strip() or not place.verification.strip():
            yield "a location does not say how it destroys and how it reads back"


def text_problems(document: JSON) -> Iterator[str]:
    """No text claims too much, points at a hold, or hides something in control characters."""
    for text in texts(document):
        if len(text) > 4000 or any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in text):
            yield "a text is too long or holds control characters"
        if _FORBIDDEN.search(text):
            yield "a text says “unrecoverable” or names a hold"


def irrecoverable_from(residual: Residual) -> tuple[date | None, str]:
    """The latest end of the residual windows and the copy that decides it; no date when one window has none."""
    for window in residual.windows:
        if window.until is None:
            return None, f"{window.copy} ({window.store}): no date is known"
    last = max(residual.windows, key=lambda w: (w.until or date.min, w.copy, w.store), default=None)
    if last is None or last.until is None:
        return None, "no window was declared"
    return last.until, f"{last.copy} ({last.store})"


def derived(facts: Facts) -> dict[str, JSON]:
    """What follows from the facts: totals, the weakest method, exceptions in generic classes, the computed date."""
    places = facts.what.locations
    order = list(Method)
    since, term = irrecoverable_from(facts.residual)
    totals: dict[str, JSON] = {camel(name): total(facts, name) for name in COUNTS}
    exceptions: dict[str, JSON] = {
        "withheld": total(facts, "withheld"),
        "failed": total(facts, "not_destroyed"),
        "unknown": total(facts, "unknown"),
    }
    summary: dict[str, JSON] = {
        "items": facts.what.items,
        **totals,
        "size": _known(place.size for place in places),
        "seconds": _known(place.seconds for place in places),
        "objects": _sum(place.objects for place in places) if facts.how.keys_destroyed else None,
        "method": max((place.method for place in places), key=order.index, default=Method.NONE_CLAIMED).value,
        "result": "passed"
        if not exceptions["failed"] and not exceptions["unknown"]
        else "passed-with-exceptions",
        "irrecoverableFrom": None if since is None else since.isoformat(),
        "decidedBy": term,
    }
    return {"summary": summary, "exceptions": exceptions}


def _known(numbers: Iterator[int | None]) -> int | None:
    values = list(numbers)
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _sum(numbers: Iterator[int | None]) -> int:
    return sum(number or 0 for number in numbers)


def sentences(facts: Facts) -> list[JSON]:
    """The statement in words, made last and only here."""
    since, term = irrecoverable_from(facts.residual)
    method = cast("dict[str, JSON]", derived(facts)["summary"])["method"]
    checked = cast("str", write(facts.statement.holds_checked_at))
    early = facts.authority.withdrawn
    gone = sum(place.destroyed for place in facts.what.locations)
    most = "" if gone == facts.what.items else "at most "
    result: list[JSON] = [
        f"As of {facts.authority.on.isoformat()} the retention required by the schedule named was met for every record destroyed"
        + (f", except {most}{early} withdrawn early by name." if early else "."),
        f"To the knowledge of {facts.identity.organization}, no record destroyed was subject to pending or reasonably "
        "anticipated litigation, investigation, audit or public-records request.",
        f"Holds checked at {checked}, hold epoch {facts.statement.hold_epoch}.",
        "Records counted as withheld were retained: not eligible.",
    ]
    if method == Method.NONE_CLAIMED.value:
        result.append("No sanitization of any storage medium is claimed.")
    else:
        result.append(f"The method claimed over all locations is: {method}.")
    if since is None:
        result.append(f"No date is given from which copies cannot be recovered: {term}.")
    else:
        result.append(f"Copies may remain until {since.isoformat()}; deciding term: {term}.")
    keys, objects = len(facts.how.keys_destroyed), _sum(place.objects for place in facts.what.locations)
    if keys:
        result.append(
            f"{keys} key(s) destroyed, which had sealed {objects} object(s); root key in force: {facts.how.root}."
        )
        before = _sum(place.unsealed_before for place in facts.what.locations)
        if before:
            result.append(
                f"{before} of these objects had been stored unencrypted before they were sealed; for them nothing is claimed."
            )
    if facts.identity.state is State.PROVISIONAL:
        result.append("This certificate is provisional.")
    if facts.identity.state is State.SUPERSEDED:
        result.append(
            f"Certificate {facts.identity.supersedes} no longer holds: {facts.identity.reason}. Nothing is claimed to be final."
        )
    return result


def predicate(facts: Facts) -> dict[str, JSON]:
    """The predicate: the facts, what follows from them, and the sentences."""
    return {**cast("dict[str, JSON]", write(facts)), **derived(facts), "sentences": sentences(facts)}


DERIVED = ("summary", "exceptions", "sentences")
"""What the predicate holds beside the facts."""


def facts_of(statement: Mapping[str, JSON], unknown: list[str] | None = None) -> Facts:
    """The facts that a statement rests on, unchecked. Raises `VerificationFailed`."""
    predicate = statement["predicate"]
    if not isinstance(predicate, dict):
        raise VerificationFailed("the predicate is not an object")
    rest = {name: value for name, value in predicate.items() if name not in DERIVED}
    return read(Facts, rest, "predicate", unknown)


def statement(certificate: Certificate) -> dict[str, JSON]:
    """The in-toto Statement v1 to put into an envelope: subject = case id with the Merkle root as its SHA-256 digest."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": certificate.identity.case, "digest": {"sha256": certificate.evidence.root}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate(certificate),
    }
