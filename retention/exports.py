"""Exports as the registry knows them: what, for whom, on what ground, how old, and where.

Age is decided here, and it is one-sided twice: saving a file makes an export no younger, copying an old time onto it makes it no
older. Whoever produced it says when; else its name; else the day it was first seen. Who says that it is older than anything about the
file shows has to say why: an export that is called older than it is goes too early.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from retention.certificate import text_problems
from retention.columns import plain
from retention.errors import UsageError
from retention.records import Personal

_IN_NAME = re.compile(r"(?<!\d)(20\d{2})([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
SLACK = timedelta(days=1)
"""How much older than its file an export may be declared to be without a reason: clocks, zones, a file that took the night to write."""
_DATA = re.compile(r"\d{5}|@|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")


class Basis(StrEnum):
    """What an export's age rests on."""

    DECLARED = "declared"
    """Whoever produced or registered it said so."""
    NAME = "name"
    FIRST_SEEN = "first-seen"


class Step(StrEnum):
    """What became of an export."""

    GONE = "gone"
    """Our copy is no longer where it was."""
    ASKED = "attestation-asked"
    """The recipient was asked to confirm that its copy is destroyed."""
    ATTESTED = "attested"
    """The recipient confirmed it in a document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One step: when, by whom, and the digest of the document it rests on."""

    step: Step
    at: datetime
    actor: str
    document_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """``store``/``path``: where our copy lies; ``path`` below the store's root, or absolute with ``store`` empty. ``copies``: other
    places, such as the recipient's server. ``digest``: SHA-256 (hex). ``identity``: inode, size and time when it was last looked
    at. ``rows``: ``None`` where they cannot be counted.
    """

    id: str
    store: str
    path: Personal[str]
    purpose: str
    recipient: str
    ground: str
    consent: str
    columns: tuple[str, ...]
    rows: int | None
    size: int
    digest: str
    identity: tuple[int, int, int]
    produced_at: datetime
    basis: Basis
    first_seen: datetime
    due_on: date | None = None
    sealed: bool = False
    attestation: bool = False
    copies: tuple[str, ...] = ()
    reason: str = ""
    """Why it is older than its file, where it was declared to be."""
    steps: tuple[Taken, ...] = ()

    def took(self, step: Step) -> bool:
        return any(taken.step is step for taken in self.steps)

    @property
    def awaits_attestation(self) -> bool:
        """Our copy is gone, and the recipient has not confirmed yet that its own is."""
        return self.attestation and self.took(Step.GONE) and not self.took(Step.ATTESTED)


def age(
    *,
    declared: datetime | None,
    name: str,
    modified: datetime,
    first_seen: datetime,
    zone: ZoneInfo,
    reason: str = "",
) -> tuple[datetime, Basis]:
    """When an export was produced, and what that rests on. Raises `UsageError` for a declared time to come, and for one that is
    more than a day older than the day in the name and than the modification of the file, without a ``reason``.

    A day in the name counts to its end. One that lies ahead is no date of production.
    """
    named = day_in(name)
    if declared is not None:
        if declared > first_seen:
            raise UsageError("an export cannot have been produced later than now", "mend produced_at")
        shown = min(modified, first_seen)
        if named is not None:
            shown = min(shown, datetime.combine(named, time.min, zone))
        if declared < shown - SLACK and not reason.strip():
            raise UsageError(
                "an export is said to be older than its file, and nobody says why",
                "give a reason, or leave produced_at out",
            )
        return declared, Basis.DECLARED
    if named is not None:
        end = datetime.combine(named, time.max, zone)
        if named <= first_seen.astimezone(zone).date():
            return min(end, first_seen), Basis.NAME
    return max(modified, first_seen), Basis.FIRST_SEEN


UNNAMED = "A recipient whose name stands in the registry"
"""On a certificate, where the name holds words that may not stand there: somebody wrote *litigation hold* into it."""


def third_parties(
    exports: Iterable[Export], places: Iterable[tuple[str, str]], opened_at: datetime
) -> tuple[str, ...]:
    """What a certificate says of copies elsewhere: a sentence per recipient. ``places``: store, and the beginning of the path.

    Exports whose copy here was gone before ``opened_at`` belong to an earlier certificate.
    """
    wanted = tuple(places)
    by_recipient: dict[str, list[Export]] = {}
    for export in exports:
        here = any(export.store == store and export.path.reveal().startswith(path) for store, path in wanted)
        earlier = any(taken.step is Step.GONE and taken.at < opened_at for taken in export.steps)
        if here and not earlier and export.first_seen <= opened_at:
            name = UNNAMED if any(text_problems(export.recipient)) else export.recipient
            by_recipient.setdefault(name, []).append(export)
    return tuple(_sentence(recipient, given) for recipient, given in sorted(by_recipient.items()))


def _sentence(recipient: str, given: Sequence[Export]) -> str:
    exports = "1 export" if len(given) == 1 else f"{len(given)} exports"
    digests = sorted(
        {
            taken.document_digest
            for export in given
            for taken in export.steps
            if taken.step is Step.ATTESTED and taken.document_digest
        }
    )
    attested = sum(export.took(Step.ATTESTED) for export in given)
    if attested:
        named = ", ".join(digests[:10])
        return f"{recipient}: received {exports}; destruction attested by third party for {attested} (documents, SHA-256: {named})"
    asked = (
        "attestation of their destruction is awaited"
        if any(one.attestation for one in given)
        else "its copies are not covered"
    )
    return f"{recipient}: received {exports}; {asked}"


def day_in(name: str) -> date | None:
    """The day in a file's name; ``None`` for none, or for several."""
    found = set()
    for year, _, month, day in _IN_NAME.findall(name):
        try:
            found.add(date(int(year), int(month), int(day)))
        except ValueError:
            continue
    return found.pop() if len(found) == 1 else None


def shown_columns(headers: Sequence[str]) -> tuple[str, ...]:
    """Column names that may be kept and shown. The first line of a file without a header is a person, and is not."""
    if any(_DATA.search(header) for header in headers):
        return tuple(f"column {number}" for number in range(1, len(headers) + 1))
    return tuple(plain(header)[:63] or f"column {number}" for number, header in enumerate(headers, 1))
