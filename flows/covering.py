"""Coverage as plain functions: every store against the schedule, and against the columns that somebody accepted.

Reads names only. Refuses to accept columns of a store it could not look into.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flows.wiring import Site
from retention.coverage import Standing, Verdict, verdicts
from retention.errors import RetentionError, SettingsError, UsageError

NOTE = "coverage"
_FORMAT = "retention.coverage.accepted/1"


@dataclass(kw_only=True)
class Coverage:
    """How every place of every store stands. ``errors``: stores that could not be looked into. ``accepted``: when columns were."""

    verdicts: list[Verdict] = field(default_factory=list)
    errors: dict[str, RetentionError] = field(default_factory=dict)
    accepted: bool = False

    @property
    def counts(self) -> Counter[Standing]:
        return Counter(verdict.standing for verdict in self.verdicts)

    @property
    def uncovered(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.standing is Standing.UNCOVERED]

    @property
    def drifted(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.drifted]


def cover(site: Site, stores: Iterable[str] = (), *, actor: str) -> Coverage:
    """Look into these stores, or into all that the schedule names. Notes in the ledger, in counts, what came out.

    Raises `UsageError` for a store that the schedule does not name.
    """
    names = list(stores) or [store.name for store in site.schedule.stores]
    known = {store.name for store in site.schedule.stores}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no store {name}", f"one of: {', '.join(sorted(known))}")
    before = _read(site.settings.state_dir)
    found = Coverage(accepted=before is not None)
    for name in names:
        if name not in site.stores:
            found.errors[name] = SettingsError(
                f"store {name} has no address: nobody looked into it", "see docs/settings.md"
            )
            continue
        try:
            accepted = None if before is None else before.get(name)
            found.verdicts += verdicts(site.schedule, name, site.stores[name].inventory(), accepted)
        except RetentionError as error:
            found.errors[name] = error
    body = {standing.value: found.counts[standing] for standing in Standing}
    site.ledger.note(
        NOTE, actor=actor, subject="coverage", at=site.now(),
        body={**body, "drifted": len(found.drifted), "stores": len(names), "unreachable": len(found.errors)},
    )  # fmt: skip
    return found


def accept(site: Site, found: Coverage) -> Path:
    """Remember the covered tables' columns as they are: what comes later is drift. Raises what kept a store from being looked into."""
    for error in found.errors.values():
        raise error
    before = dict(_read(site.settings.state_dir) or {})
    for verdict in found.verdicts:
        before[verdict.store] = {}
    for verdict in found.verdicts:
        if verdict.place.kind == "table" and verdict.standing is Standing.COVERED:
            before[verdict.store] = {**before[verdict.store], verdict.place.name: list(verdict.place.columns)}
    path = _path(site.settings.state_dir)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump({"format": _FORMAT, "stores": before}, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path


def _path(state: Path) -> Path:
    return state / "coverage.json"


def _read(state: Path) -> Mapping[str, Mapping[str, list[str]]] | None:
    try:
        document = json.loads(_path(state).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise UsageError(
            f"{_path(state)} cannot be read", "restore it, or remove it and give: retention coverage --accept"
        ) from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise UsageError(
            f"{_path(state)} is of another version", "remove it and give: retention coverage --accept"
        )
    stores: Mapping[str, Mapping[str, list[str]]] = document["stores"]
    return stores
