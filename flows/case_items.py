"""Single items of an open case, for a person who decides on it: a sample, or those that they name. Looks, and writes nothing.

What comes back names records: it goes to whoever asked, sealed on its way, and into no log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flows.wiring import Site, frozen
from retention.errors import UsageError
from storage.ledger.cases import Case, CaseState, Part
from storage.planning import criteria_for, store_of

SAMPLE = 20
"""Items that a person is shown: enough to see what a case is about."""
MOST_NAMED = 100
"""Records that may be named at a time."""
_AT_ONCE = 1000

Item = Mapping[str, Any]
"""``ordinal`` (position in the manifest, counted from 0), ``location``, ``key``, ``there``, ``date``, ``branch``: as the store has it now."""


def sample(site: Site, case: Case) -> list[Item]:
    """Up to `SAMPLE` items, evenly over the manifest. Raises `UsageError` for a case that has ended."""
    wanted = {number * case.items // SAMPLE for number in range(SAMPLE)}
    return _items(site, case, lambda ordinal, _: ordinal in wanted)


def named(site: Site, case: Case, references: Sequence[str]) -> list[Item]:
    """Those whose key is one of these, as the store writes it. Raises `UsageError` for none, for too many, and for a case that has ended."""
    wanted = {one.strip() for one in references if one.strip()}
    if not 1 <= len(wanted) <= MOST_NAMED:
        raise UsageError(f"name 1 to {MOST_NAMED} records", "as the store writes their keys, one each")
    return _items(site, case, lambda _, key: key in wanted)


def _items(site: Site, case: Case, chosen: Callable[[int, str], bool]) -> list[Item]:
    if case.state is not CaseState.STARTED:
        raise UsageError(f"case {case.id} has ended: its list of records is gone", "see its certificate")
    site.spool.verify(case)
    return [item for part in case.parts for item in _of_part(site, case, part, chosen)]


def _of_part(site: Site, case: Case, part: Part, chosen: Callable[[int, str], bool]) -> Iterator[Item]:
    schedule = frozen(site.ledger.cases.schedule_text(case.schedule_digest))
    criteria = criteria_for(schedule, schedule.record_type(case.record_type), part.location, case.on)
    store = store_of(site.stores, part.store)
    with site.spool.open(case.id, part) as manifest:
        offset, ordinal = 0, part.first_ordinal
        while True:
            lines, offset = manifest.lines(offset, _AT_ONCE)
            if not lines:
                return
            for line in lines:
                key = store.reference(line)
                if chosen(ordinal, key):
                    record = store.read(criteria, key)
                    yield {
                        "ordinal": ordinal,
                        "location": part.location,
                        "key": key,
                        "there": record is not None,
                        "date": None
                        if record is None or record.trigger is None
                        else record.trigger.isoformat(),
                        "branch": None if record is None else record.branch,
                    }
                ordinal += 1
