"""What the page of an attested certificate says: media destroyed by hand, as people signed it. Pure, and made of its facts alone.

Refuses to sound like a read-back: above everything else it says that the program saw nothing of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from retention.document import JSON
from retention.media import Attested, Step
from storage.paper import words
from storage.paper.content import blocks, first, framed, keys_of, log_before, signed_at, texts
from storage.paper.parsed import Parsed

PARTS = {
    Step.PLAN: "Preparer",
    Step.APPROVE: "Approver",
    Step.ATTEST: "Destroyer",
    Step.WITNESS: "Witness",
}
"""Whoever attests destroyed the media, or had it done before their eyes."""
NOTICE = (
    "Attested by people, not read back by the program: it destroyed none of these media, saw nothing of it, and records what the "
    "people named here signed."
)
NAMED = 2
"""So many series and owners are named on the first page; more are counted there, and the series named in Annex B."""


def page(facts: Attested, parsed: Parsed) -> dict[str, JSON]:
    """Everything the template shows, as text. ``facts``: those that were parsed."""
    lot = facts.lot
    rules = _rules(facts)
    return {
        **framed(parsed, "attested"),
        "description": "Which media were destroyed by hand, under which rule, by which method, and who attests it and witnessed it.",
        "stateNote": "Nothing is pending.",
        "warning": "",
        "notice": NOTICE,
        "lead": _lead(facts),
        "figures": [
            {"value": f"{len(lot.media):,}", "label": f"{'medium' if len(lot.media) == 1 else 'media'} destroyed, as attested"},
            {"value": "0", "label": "seen by the program"},
        ],
        "volume": "",
        "blocks": blocks(_blocks(facts)),
        "places": [],
        "approvals": [],
        "media": [],
        "byHand": [
            texts((
                str(number), words.MEDIA.get(one.media_type, one.media_type), one.make, one.model, one.serial, one.property_number or "",
                one.source, one.categorization,
            ))
            for number, one in enumerate(lot.media, 1)
        ],
        "people": [
            texts((PARTS[step], one.person, one.title, signed_at(one.statement)))
            for step, one in zip(Step, facts.signed, strict=True)
        ],
        "rules": list(rules[len(first(rules)) :]),
        "evidence": [texts(pair) for pair in _evidence(facts, parsed)],
    }  # fmt: skip


def _lead(facts: Attested) -> list[JSON]:
    """The sentence the page exists for, as (text, emphasised) pairs."""
    titles = [authority.title for authority in facts.lot.authorities]
    count = len(facts.lot.media)
    attest, witness = facts.signed[2:4]
    named: list[JSON] = []
    for number, title in enumerate(titles if len(titles) <= NAMED else ()):
        named += [[" and " if number else "the series ", False], [title, True]]
    return [
        [f"On {words.span(facts.destroyed_at, facts.destroyed_at)}, {facts.identity.organization} had ", False],
        [f"{'one medium' if count == 1 else f'{count:,} media'} with records of ", False],
        *(named or [[f"{len(titles)} series", False]]),
        [f" destroyed by hand, as {attest.person} attests and {witness.person} witnessed, after the time they had to be kept was over.", False],
    ]  # fmt: skip


def _blocks(facts: Attested) -> Iterator[tuple[str, list[str]]]:
    yield "Media", _media(facts)
    yield "Rule and authority", _authority(facts)
    yield "Dates", _dates(facts)
    yield (
        "Method",
        [f"As attested. {words.METHODS[facts.method]}", f"Technique: {words.sentence(facts.technique)}"],
    )
    yield (
        "Verification",
        ["None by the program: the destroyer and the witness give the same account, each with a signature."],
    )
    yield "Remaining copies", ["Copies of these records elsewhere are not covered."]
    yield "People", [
        f"{PARTS[step]}: {one.person}, {one.title}, {signed_at(one.statement)}."
        for step, one in zip(Step, facts.signed, strict=True)
    ]  # fmt: skip
    yield "Statement", [
        "The retention required was met for every record of the kinds and dates named. To the library’s knowledge no litigation, "
        "investigation, audit or public-records request about them was pending or reasonably anticipated.",
        f"Holds last checked {words.moment(facts.statement.holds_checked_at)}, epoch {facts.statement.hold_epoch}.",
    ]  # fmt: skip


def _media(facts: Attested) -> list[str]:
    kinds = Counter(words.MEDIA.get(one.media_type, one.media_type).lower() for one in facts.lot.media)
    categories = sorted({one.categorization for one in facts.lot.media})
    counted = "; ".join(f"{kind}: {count:,}" for kind, count in sorted(kinds.items()))
    lines = [f"{words.sentence(counted)} Annex A lists each."]
    if len(categories) <= NAMED + 1:
        lines.append(f"Category of the content: {'; '.join(categories)}.")
    return lines


def _rules(facts: Attested) -> tuple[str, ...]:
    several = len(facts.lot.authorities) > 1
    return tuple(
        (f"{authority.title}: " if several else "") + words.rule(rule, authority.trigger, authority.cutoff)
        for authority in facts.lot.authorities
        for rule in authority.rules
    )


def _authority(facts: Attested) -> list[str]:
    rules, authorities = _rules(facts), facts.lot.authorities
    lines = list(first(rules))
    if more := len(rules) - len(lines):
        lines.append(f"{more} more rules: see Annex B.")
    owners = list(dict.fromkeys(authority.owner for authority in authorities))
    if more := len(owners) - len(first(tuple(owners))):
        owners = [*owners[:NAMED], f"{more} more"]
    lines.append(
        f"Retention schedule {authorities[0].schedule_version}; owner of the series: {'; '.join(owners)}."
    )
    return lines


def _dates(facts: Attested) -> list[str]:
    lot, authority = facts.lot, facts.lot.authorities[0]
    same = lot.earliest == lot.latest
    over = max(one.minimum_met_on for one in lot.authorities)
    return [
        f"Records dated {words.day(lot.earliest)}{'' if same else f' to {words.day(lot.latest)}'}.",
        f"Decided as of {words.day(authority.on)} ({authority.zone}); every minimum was over by {words.day(over)}.",
        f"Destroyed {words.moment(facts.destroyed_at)}, as attested.",
    ]


def _evidence(facts: Attested, parsed: Parsed) -> Iterator[tuple[str, str]]:
    yield "Certificate and lot", facts.identity.id
    yield "Statement, SHA-256", parsed.digest
    for keyid in parsed.keyids:
        yield "Signed by key", keyid
    yield from keys_of(facts.signed)
    for authority in facts.lot.authorities:
        yield "Record series", f"{authority.record_type}: {authority.title}"
    yield "Schedule, SHA-256", facts.lot.schedule
    yield "Lot, SHA-256", facts.evidence.digest
    if facts.evidence.checkpoint:
        yield "Log before it", log_before(facts.evidence.checkpoint)
    yield "Software", f"{facts.identity.software} {facts.identity.version}"
