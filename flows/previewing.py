"""What a hold would keep, counted before it is placed. Writes nothing, and opens nothing that is sealed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from flows.wiring import Site, frozen
from retention.decide import KeepReason
from retention.holds import Hold, HoldState, Scope
from retention.schedule import TreeLocation
from storage.ledger.cases import Case, CaseState
from storage.planning import criteria_for, store_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewPlace:
    """One location: how many of its records the hold would keep, whatever else keeps them, out of how many, and how old those are.

    ``oldest``, ``newest``: trigger days; ``None`` where none of them has one.
    """

    record_type: str
    location: str
    store: str
    kept: int
    of: int
    oldest: date | None
    newest: date | None

    @property
    def facts(self) -> dict[str, Any]:
        """As the command line and the pages give them to programs."""
        return {**asdict(self), "oldest": _written(self.oldest), "newest": _written(self.newest)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """``cases``: open cases that the hold could touch: approvals given before it would be void for them."""

    places: tuple[PreviewPlace, ...]
    cases: tuple[str, ...]

    @property
    def keeps(self) -> int:
        return sum(place.kept for place in self.places)

    @property
    def facts(self) -> dict[str, Any]:
        """``record_types``: the same by record type, of those of which it keeps something."""
        return {
            "keeps": self.keeps,
            "places": [place.facts for place in self.places],
            "record_types": [
                _together(name, self.places)
                for name in dict.fromkeys(place.record_type for place in self.places if place.kept)
            ],
        }


def preview(site: Site, scope: Scope) -> Preview:
    """Count. Raises `UsageError` for a scope that no hold may have, `StoreUnavailable`."""
    site.enforcing.check(scope)
    hold = Hold(id="preview", state=HoldState.ACTIVE, scope=scope)
    found = []
    for record_type in site.schedule.record_types:
        for location in record_type.locations:
            if not scope.touches(record_type.id, *location.stores):
                continue
            if isinstance(location, TreeLocation) and location.vault_of is not None:
                continue  # copies of records that are counted where they are; how many there are tells of other holds
            criteria = criteria_for(site.schedule, record_type, location.name, site.today())
            survey = store_of(site.stores, location.store).survey(
                criteria, [hold], lambda _: None, lambda _: None
            )
            found.append(
                PreviewPlace(
                    record_type=record_type.id,
                    location=location.name,
                    store=location.store,
                    kept=survey.kept[KeepReason.HELD],
                    of=survey.population,
                    oldest=survey.held_oldest,
                    newest=survey.held_newest,
                )
            )
    started = site.ledger.cases.list(state=CaseState.STARTED)
    cases = tuple(case.id for case in started if _touches(site, scope, case))
    return Preview(places=tuple(found), cases=cases)


def _together(record_type: str, places: tuple[PreviewPlace, ...]) -> dict[str, Any]:
    """What a hold would keep of one record type, wherever it is."""
    own = [place for place in places if place.record_type == record_type]
    return {
        "record_type": record_type,
        "kept": sum(place.kept for place in own),
        "oldest": _written(min((place.oldest for place in own if place.oldest is not None), default=None)),
        "newest": _written(max((place.newest for place in own if place.newest is not None), default=None)),
    }


def _written(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _touches(site: Site, scope: Scope, case: Case) -> bool:
    schedule = frozen(site.ledger.cases.schedule_text(case.schedule_digest))
    record_type = schedule.record_type(case.record_type)
    return any(
        scope.touches(case.record_type, *record_type.location(part.location).stores) for part in case.parts
    )
