"""Who may see a hold. The one place that decides it: the command line and the pages ask here, and nothing else compares lists.

A sealed hold is shown to those on its need-to-know list. To everybody else there is no such hold: not by id, not in a count, not
in an event.
"""

from __future__ import annotations

from collections.abc import Sequence

from retention.errors import UsageError
from retention.holds import HoldState
from storage.ledger.holds import HoldFile
from storage.ledger.ledger import Event, Ledger


def may_see(file: HoldFile, person: str | None) -> bool:
    """Whether this person (by name, proven by key or session; ``None``: nobody in particular) may know that the hold exists."""
    if not file.sealed:
        return True
    return person is not None and person in known_to(file)


def known_to(file: HoldFile) -> tuple[str, ...]:
    """The need-to-know list. Of a hold without one (written by an earlier version): whoever signed for it."""
    return file.need_to_know or tuple(
        sorted({file.placed_by, *(step.person for step in file.actions)} - {""})
    )


def seen(ledger: Ledger, id: str, person: str | None) -> HoldFile:
    """A hold for this person. Raises `UsageError`, the same for one that is not there and one that they may not see."""
    file = ledger.holds.get(id)
    if not may_see(file, person):
        raise no_such_hold(id)
    return file


def all_seen(ledger: Ledger, person: str | None, *, released: bool = False) -> list[HoldFile]:
    """The holds this person may see, newest first."""
    ended = () if released else (HoldState.RELEASED, HoldState.DECLINED)
    return [file for file in ledger.holds.every() if file.state not in ended and may_see(file, person)]


def links_among(files: Sequence[HoldFile]) -> dict[str, list[str]]:
    """By id, the ids of those that a hold is linked with, from either side, in the order of ``files``: holds that whoever asks may see.
    What is linked with none is not there."""
    places = {file.id: place for place, file in enumerate(files)}
    found: dict[str, set[str]] = {}
    for file in files:
        for other in file.links:
            if other in places:
                found.setdefault(file.id, set()).add(other)
                found.setdefault(other, set()).add(file.id)
    return {id: sorted(others, key=places.__getitem__) for id, others in found.items()}


def hidden(ledger: Ledger, person: str | None) -> frozenset[str]:
    """Ids of the holds that this person may not see, whatever has become of them."""
    return frozenset(file.id for file in ledger.holds.every() if not may_see(file, person))


def events_for(
    ledger: Ledger, person: str | None, *, subject: str | None = None, limit: int = 200
) -> list[Event]:
    """Events of the chain that this person may see, newest first: none of a hold that is hidden from them.

    The chain itself stays whole; positions in it are missing from what they see, as they are between any two days.
    """
    secret = hidden(ledger, person)
    if subject in secret:
        return []
    return [*ledger.events(subject=subject, limit=limit, without=secret)]


def no_such_hold(id: str) -> UsageError:
    return UsageError(f"there is no hold {id}", "see: retention hold list")
