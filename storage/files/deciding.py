"""Many decisions at once: `retention.decide.decide` on the extremes of a group, and on each file where that is not enough.

A decision depends on a file's trigger through its local day alone, and on its span through the holds that overlap it. So for
files of one camera triggered on one local day, two records that span the whole group are decided on, one with the earliest and
one with the latest trigger. If both come out the same and no hold is in it, the same holds for each file between; a property
test shows it. Otherwise, and wherever a condition looks at single files, each is decided on by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from retention import dates
from retention.decide import Criteria, Decision, Keep, KeepReason, decide
from retention.holds import Hold
from storage.files.facts import Facts, Sighting

_HELD = frozenset({KeepReason.HELD, KeepReason.NOT_ELIGIBLE})


def decide_all(
    criteria: Criteria, facts: Facts, holds: Iterable[Hold], sightings: Sequence[Sighting]
) -> list[Decision]:
    """One decision per sighting, in order. ``holds``: as `Facts.holds` gave them."""
    holds = tuple(holds)
    decisions: dict[int, Decision] = {}
    groups: dict[tuple[str | None, int], list[int]] = {}
    for index, seen in enumerate(sightings):
        if seen.trigger is not None and seen.undecidable is None and not facts.has_conditions:
            groups.setdefault((seen.camera, seen.trigger.toordinal()), []).append(index)
        else:
            decisions[index] = decide(facts.record(seen), criteria, holds)
    for members in groups.values():
        for group in _by_local_day(criteria, sightings, members):
            common = _common(criteria, facts, holds, [sightings[index] for index in group])
            for index in group:
                decisions[index] = common or decide(facts.record(sightings[index]), criteria, holds)
    return [decisions[index] for index in range(len(sightings))]


def _by_local_day(
    criteria: Criteria, sightings: Sequence[Sighting], members: list[int]
) -> Iterable[list[int]]:
    """Members of one day in UTC, parted by the library's day: two groups at most, nearly always one."""
    triggers = [sightings[index].trigger for index in members]
    known = [trigger for trigger in triggers if trigger is not None]
    if _day(criteria, min(known)) == _day(criteria, max(known)):
        return [members]
    days: dict[date, list[int]] = {}
    for index, trigger in zip(members, known, strict=True):
        days.setdefault(_day(criteria, trigger), []).append(index)
    return days.values()


def _common(
    criteria: Criteria, facts: Facts, holds: tuple[Hold, ...], group: list[Sighting]
) -> Decision | None:
    """What is decided on every one of them; ``None`` when they must be asked singly."""
    if len(group) < 3 or any(hold.existing_by is not None for hold in holds):
        return None  # a snapshot asks each file when it came into being
    starts, ends = [seen.start for seen in group], [seen.end for seen in group]
    known_starts = [start for start in starts if start is not None]
    known_ends = [end for end in ends if end is not None]
    triggers = [seen.trigger for seen in group if seen.trigger is not None]
    cover = group[0]._replace(
        start=min(known_starts) if len(known_starts) == len(starts) else None,
        end=max(known_ends) if len(known_ends) == len(ends) else None,
    )
    first = decide(facts.record(cover._replace(trigger=min(triggers))), criteria, holds)
    last = decide(facts.record(cover._replace(trigger=max(triggers))), criteria, holds)
    if first != last or (isinstance(first, Keep) and not _HELD.isdisjoint(first.reasons)):
        return None
    return first


def _day(criteria: Criteria, moment: datetime) -> date:
    return dates.local_day(moment, criteria.location.zone, criteria.library.zone)
