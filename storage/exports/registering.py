"""Entering exports in the registry: one by hand, or whatever the folder rules of the schedule find.

Refuses to make an export younger: one that is registered keeps its age, however often it is saved. Where a rule says that names
are used again, another content under a name is another export.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from retention import dates
from retention.errors import UsageError
from retention.exports import Export, Step, age
from retention.records import Personal
from retention.schedule import ExportRule, RecordType, Schedule, TreeLocation
from storage.exports.describing import Content, describe
from storage.exports.sidecar import LARGEST, Sidecar, read_sidecar
from storage.files.facts import SIDECAR, Found, found
from storage.files.folder import look
from storage.files.lines import to_text
from storage.files.tree import Barred, Tree, join, split
from storage.ledger.exports import Exports, new_export_id
from storage.rows.opening import PARTIAL, opened

ACTOR = "folder rule"


@dataclass(kw_only=True)
class Sighted:
    """What a look through one location's folder found. ``changed``: registered exports that were saved again."""

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
        content = describe(path.name, file)
    store, below = place_of(path, roots)
    if (store, below) in exports.at_place():
        raise UsageError(
            "this file is registered already",
            "its age does not change by saving it; see: retention export list",
        )
    export = _export(store, below, content, told, modified=_moment(it), zone=zone, at=at)
    exports.register([export], actor=actor, at=at)
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
    root: Path,
    *,
    exports: Exports,
    at: datetime,
) -> Sighted:
    """Register what lies in a location's folder and is not registered yet, and note what is gone.

    ``root``: of the location's store. A location without an export rule registers only what has a sidecar. Raises
    `StoreUnavailable`; nothing is noted as gone then.
    """
    result = Sighted(location=location.name)
    known = exports.at_place()
    earlier = {(one.store, one.path.reveal(), one.digest): one for one in exports.list()}
    seen: set[tuple[str, str]] = set()
    fresh: list[Export] = []
    with Tree(root, location.path) as tree:
        bars: list[object] = []
        for visit in tree.walk(lambda _path: False, bars.append):
            for entry in visit.entries:
                path = join(visit.path, entry.name)
                if entry.kind != "f" or entry.name.endswith(SIDECAR) or entry.name.startswith(PARTIAL):
                    continue
                place = location.store, to_text(join(location.path, path))
                seen.add(place)
                try:
                    export = _sight_one(
                        tree,
                        path,
                        place,
                        known.get(place),
                        location=location,
                        zone=schedule.library.zone,
                        at=at,
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
    if fresh:
        exports.register(fresh, actor=ACTOR, at=at)
    result.registered = [export.id for export in fresh]
    inside = f"{location.path}/" if location.path else ""
    for place, export in known.items():
        if place[0] == location.store and place[1].startswith(inside) and place not in seen and not bars:
            exports.take(export.id, Step.GONE, actor=ACTOR, at=at)
            result.gone.append(export.id)
            if export.attestation:
                exports.take(export.id, Step.ASKED, actor=ACTOR, at=at)
    return result


def due_day(record_type: RecordType, produced: datetime, schedule: Schedule, location: TreeLocation) -> date:
    """The first day on which an export of that age is due under the record type's own rule."""
    day = dates.local_day(produced, location.zone, schedule.library.zone)
    return dates.day_after(
        dates.due_day(day, record_type.rules[0].minimum, record_type.cutoff, schedule.library)
    )


def _sight_one(
    tree: Tree, path: str, place: tuple[str, str], before: Export | None, *, location: TreeLocation, zone: ZoneInfo, at: datetime,
) -> Export | bool:  # fmt: skip
    """A new export; otherwise whether a registered one was saved again."""
    folder, name = split(path)
    status = look(tree, folder, name)
    if status is None or found(status).odd:
        return False
    if _moment(found(status)) > at - timedelta(seconds=location.settle):
        return False  # it may still be growing
    reused = location.export is not None and location.export.reused
    same = before is not None and before.identity == (status.st_ino, status.st_size, status.st_mtime_ns)
    if same or (before is not None and not reused):
        return not same
    told = _beside(tree, path) or _by_rule(location.export)
    if told is None:
        return False
    encoding = location.rows.encoding if location.rows else "utf-8"
    with opened(tree, path) as file:
        content = describe(name, file, encoding)
    if before is not None and before.digest == content.digest:
        return False
    modified = _moment(found(status))
    return _export(*place, content, told, modified=modified, zone=zone, at=at)


def _beside(tree: Tree, path: str) -> Sidecar | None:
    folder, name = split(path)
    if look(tree, folder, name + SIDECAR) is None:
        return None
    with opened(tree, path + SIDECAR) as file:
        return read_sidecar(file.read(LARGEST + 1))


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


def _moment(it: Found) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=(it.modified or 0) // 1000)
