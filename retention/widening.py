"""Widening a hold's scope: values added, times moved outward, restrictions lifted. Says where adding would narrow it instead."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from enum import StrEnum

from retention.holds import Scope


class Restriction(StrEnum):
    """A field of a hold's scope."""

    RECORD_TYPE = "record-type"
    STORE = "store"
    SUBJECT = "subject"
    CAMERA = "camera"
    BRANCH = "branch"
    TIME = "time"


FIELDS: Mapping[Restriction, str] = {
    Restriction.RECORD_TYPE: "record_types", Restriction.STORE: "stores", Restriction.SUBJECT: "subjects", Restriction.CAMERA: "cameras",
    Restriction.BRANCH: "branches",
}  # fmt: skip
"""What holds the values of a restriction in a scope; a time is not a list of values."""


def conflicts(before: Scope, added: Scope, lifted: Set[Restriction]) -> dict[Restriction, str]:
    """What is wrong with adding these, by restriction: what is not restricted would be, or would be twice."""
    found: dict[Restriction, str] = {}
    for restriction, name in FIELDS.items():
        own, more = getattr(before, name), getattr(added, name)
        if more and not own:
            found[restriction] = (
                f"the hold keeps whatever the {restriction.value} is: naming one would narrow it"
            )
        elif more and restriction in lifted:
            found[restriction] = f"the {restriction.value} is added to and lifted at once: do one of the two"
    bounds = ((added.since, before.since), (added.until, before.until))
    given = any(more is not None for more, _ in bounds)
    if Restriction.TIME in lifted and given:
        found[Restriction.TIME] = "the time is added to and lifted at once: do one of the two"
    elif any(more is not None and own is None for more, own in bounds):
        found[Restriction.TIME] = "the hold has no bound on that side of its time: giving one would narrow it"
    return found


def widened(before: Scope, added: Scope, lifted: Set[Restriction]) -> Scope:
    """The scope with what was added to it, where nothing `conflicts`."""
    values = {
        name: frozenset() if restriction in lifted else getattr(before, name) | getattr(added, name)
        for restriction, name in FIELDS.items()
    }
    if Restriction.TIME in lifted:
        return Scope(**values)
    since, until = before.since, before.until
    return replace(
        before,
        since=since if since is None or added.since is None else min(since, added.since),
        until=until if until is None or added.until is None else max(until, added.until),
        margin_before=max(before.margin_before, added.margin_before),
        margin_after=max(before.margin_after, added.margin_after),
        **values,
    )
