"""Entering exports in the registry: one by hand, or whatever the rules of the schedule find in folders and buckets.

Refuses to make an export younger: one that is registered keeps its age, however often it is saved. Where a rule says that names
are used again, another content under a name is another export.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from retention import dates
from retention.errors import UsageError
from retention.exports import Export, Step, age
from retention.records import Personal
from retention.schedule import ExportRule, RecordType, Schedule, TreeLocation
from storage.exports.describing import Content, describe, identity_of
from storage.exports.lying import BucketShelf, Shelf, moment_of
from storage.exports.sidecar import Sidecar, read_sidecar
from storage.files.facts import found
from storage.files.lines import to_text
from storage.files.tree import Barred, join, split
from storage.ledger.exports import Exports, new_export_id

ACTOR = "folder rule"


@dataclass(kw_only=True)
class Sighted:
    """What a look through one location found. ``changed``: registered exports that were saved again."""

    location: str
    registered: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unread: int = 0
    wrong_sidecars: int = 0


def register_file(
    path: Path, told: Sidecar, *, exports: Exports, roots: Mapping[str, Path], zone: ZoneInfo, actor: str, at: datetime,
) -> Export:  # fmt: skip
    """Register one file by hand. ``roots``: the root of each file store, to find the one it lies in.

    Raises `UsageError` for a file that cannot be read, is no plain file, or is registered already.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(
            f"the file cannot be read: {error.strerror}", "name the export itself, not a link to it"
        ) from None
    it = found(os.fstat(descriptor))
    if it.odd:
        os.close(descriptor)
        raise UsageError(f"this is {it.odd}", "name the export itself")
    with os.fdopen(descriptor, "rb") as file:
        content = describe(path.name, file, identity_of(os.fstat(file.fileno())))
    export = _export(*place_of(path, roots), content, told, modified=moment_of(it), zone=zone, at=at)
    return _enter(export, exports, actor)


def register_object(
    store: str, path: str, told: Sidecar, *, shelf: BucketShelf, exports: Exports, zone: ZoneInfo, actor: str, at: datetime,
) -> Export:  # fmt: skip
    """Register one object by hand: its newest version. ``path``: its key below the prefix of the store, which is the shelf's.

    Raises `UsageError` for one that is not there, cannot be read, or is registered already; `StoreUnavailable`.
    """
    state = shelf.state(path) if shelf.find(path) else None
    if state is None:
        raise UsageError("there is no such object", "name its key below the prefix of the store")
    try:
        with shelf.open(path) as file:
            content = describe(split(path)[1], file, state.identity)
    except OSError as error:
        raise UsageError(f"the object cannot be read: {error.strerror}", "see docs/stores-s3.md") from None
    export = _export(store, to_text(path), content, told, modified=state.modified, zone=zone, at=at)
    return _enter(export, exports, actor)


def _enter(export: Export, exports: Exports, actor: str) -> Export:
    if (export.store, export.path.reveal()) in exports.at_place():
        raise UsageError(
            "this export is registered already",
            "its age does not change by saving it; see: retention export list",
        )
    exports.register([export], actor=actor, at=export.first_seen)
    return export


def place_of(path: Path, roots: Mapping[str, Path]) -> tuple[str, str]:
    """Store and path below its root; of a file in no store ``""`` and its absolute path."""
    whole = path.parent.resolve() / path.name
    for name, root in sorted(roots.items(), key=lambda item: len(str(item[1])), reverse=True):
        with suppress(ValueError):
            return name, to_text(str(whole.relative_to(root.resolve())))
    return "", to_text(str(whole))


def sight(
    schedule: Schedule,
    record_type: RecordType,
    location: TreeLocation,
    shelf: Shelf,
    *,
    exports: Exports,
    at: datetime,
) -> Sighted:
    """Register what lies at a location and is not registered yet, and note what is gone.

    A location without an export rule registers only what has a sidecar. Raises `StoreUnavailable`; nothing is noted as gone then.
    """
    result = Sighted(location=location.name)
    known = exports.at_place()
    earlier = {(one.store, one.path.reveal(), one.digest): one for one in exports.list()}
    seen: set[tuple[str, str]] = set()
    fresh: list[Export] = []
    with shelf:
        for path in shelf:
            place = location.store, to_text(join(location.path, path))
            seen.add(place)
            try:
                export = _sight_one(
                    shelf, path, place, known.get(place), location=location, zone=schedule.library.zone, at=at
                )
            except UsageError:
                result.wrong_sidecars += 1
                continue
            except (Barred, OSError):
                result.unread += 1
                continue
            if isinstance(export, Export):
                due = export.due_on or due_day(record_type, export.produced_at, schedule, location)
                back = earlier.get((*place, export.digest))
                reused = location.export is not None and location.export.reused
                if back is not None and not reused:  # a backup was restored: it makes nothing younger
                    export = replace(export, produced_at=back.produced_at, basis=back.basis)
                    due = back.due_on or due
                fresh.append(replace(export, due_on=due))
            elif export:
                result.changed.append(known[place].id)
        whole = shelf.is_whole()
    if fresh:
        exports.register(fresh, actor=ACTOR, at=at)
    result.registered = [export.id for export in fresh]
    inside = f"{location.path}/" if location.path else ""
    for place, export in known.items():
        if place[0] == location.store and place[1].startswith(inside) and place not in seen and whole:
            exports.take(export.id, Step.GONE, actor=ACTOR, at=at)
            result.gone.append(export.id)
            if export.attestation:
                exports.take(export.id, Step.ASKED, actor=ACTOR, at=at)
    return result


def due_day(record_type: RecordType, produced: datetime, schedule: Schedule, location: TreeLocation) -> date:
    """The first day on which an export of that age is due under the record type's own rule; with consent past its maximum."""
    day = dates.local_day(produced, location.zone, schedule.library.zone)
    rule = record_type.rules[0]
    period = rule.maximum if location.consent is not None and rule.maximum is not None else rule.minimum
    return dates.day_after(dates.due_day(day, period, record_type.cutoff, schedule.library))


def _sight_one(
    shelf: Shelf, path: str, place: tuple[str, str], before: Export | None, *, location: TreeLocation, zone: ZoneInfo, at: datetime,
) -> Export | bool:  # fmt: skip
    """A new export; otherwise whether a registered one was saved again."""
    state = shelf.state(path)
    if state is None or state.modified > at - timedelta(seconds=location.settle):
        return False  # no export, or it may still be growing
    reused = location.export is not None and location.export.reused
    same = before is not None and before.identity == state.identity
    if same or (before is not None and not reused):
        return not same
    beside = shelf.beside(path)
    told = _by_rule(location.export) if beside is None else read_sidecar(beside)
    if told is None:
        return False
    encoding = location.rows.encoding if location.rows else "utf-8"
    with shelf.open(path) as file:
        content = describe(split(path)[1], file, state.identity, encoding)
    if before is not None and before.digest == content.digest:
        return False
    return _export(*place, content, told, modified=state.modified, zone=zone, at=at)


def _by_rule(rule: ExportRule | None) -> Sidecar | None:
    if rule is None:
        return None
    return Sidecar(
        purpose=rule.purpose, recipient=rule.recipient, ground=rule.ground, consent=rule.consent, attestation=rule.attestation
    )  # fmt: skip


def _export(
    store: str,
    path: str,
    content: Content,
    told: Sidecar,
    *,
    modified: datetime,
    zone: ZoneInfo,
    at: datetime,
) -> Export:
    produced, basis = age(
        declared=told.produced_at,
        name=split(path)[1],
        modified=modified,
        first_seen=at,
        zone=zone,
        reason=told.reason,
    )
    return Export(
        id=new_export_id(at), store=store, path=Personal(path), purpose=told.purpose, recipient=told.recipient,
        ground=told.ground, consent=told.consent, columns=content.columns, rows=content.rows, size=content.size,
        digest=content.digest, identity=content.identity, produced_at=produced, basis=basis, first_seen=at, due_on=told.due_on,
        sealed=told.sealed, attestation=told.attestation, copies=told.copies, reason=told.reason,
    )  # fmt: skip
