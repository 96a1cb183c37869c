"""Media destroyed by hand, told to people: the list of media, and what a certificate of them says."""

from __future__ import annotations

from collections.abc import Iterable

from console.cli import words
from console.cli.answer import Line, Table, heading, moment
from retention import media
from retention.document import read
from retention.facts import Medium
from retention.media import Attested, StepStatement


def media_table(items: Iterable[Medium]) -> Table:
    rows = [
        (one.media_type, " ".join(filter(None, (one.make, one.model))), one.serial, one.property_number or "", one.source, one.categorization)
        for one in items
    ]  # fmt: skip
    heads = ("medium", "make", "serial", "property number", "source", "categorization")
    return Table(heads=heads, rows=rows)


def certificate_lines(facts: Attested) -> list[Line]:
    lot, identity = facts.lot, facts.identity
    lines: list[Line] = [
        heading(f"certificate {identity.id}: attested by people, not read back by the program"),
        f"  {identity.organization}, issued {moment(identity.issued)}",
    ]
    for authority in lot.authorities:
        lines.append(f"  {authority.title} ({authority.record_type}), as of {authority.on}")
        lines += [f"  rule {rule.id}: {rule.citation}, at least {rule.minimum}" for rule in authority.rules]
    lines.append(f"  inclusive dates: {lot.earliest} to {lot.latest}")
    lines.append(media_table(lot.media))
    lines.append(f"  method attested: {facts.method.value} ({facts.technique}), {moment(facts.destroyed_at)}")
    for given in facts.signed:
        said = read(StepStatement, given.statement, "step")
        lines.append(f"  {words.MEDIA_STEPS[said.step]} by {given.person}, {given.title}, {moment(said.at)}")
    return [*lines, *(f"  {sentence}" for sentence in media.sentences(facts))]
