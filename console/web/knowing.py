"""Who may know of a hold. To anybody else a sealed hold is not there: not in a list, a count, an event or an answer."""

from __future__ import annotations

from console.web.doors import Visit
from console.web.problems import NotFound
from storage.ledger.holds import HoldFile
from storage.seeing import links_among, may_see


def may_know(visit: Visit, file: HoldFile) -> bool:
    """Of a sealed hold: those on its need-to-know list. What it is about their role decides, as of any hold."""
    return may_see(file, visit.who.name)


def known(visit: Visit) -> tuple[HoldFile, ...]:
    """Every hold that this person may know of, newest first."""
    return tuple(file for file in visit.desk.ledger.holds.every() if may_know(visit, file))


def found(visit: Visit, id: str) -> HoldFile:
    """Raises `NotFound` for a hold that is not there, or not for this person: the two look alike."""
    for file in known(visit):
        if file.id == id:
            return file
    raise NotFound


def links(visit: Visit) -> dict[str, list[str]]:
    """Of every hold that this person may know of, the ids of those it is linked with that they may know of too."""
    return links_among(known(visit))


def hidden(visit: Visit) -> frozenset[str]:
    """Ids of what is to leave no trace for this person."""
    return frozenset(file.id for file in visit.desk.ledger.holds.every() if not may_know(visit, file))
