"""Whether a location is as the schedule says, before anything is surveyed. Nothing is vacuously true: what cannot be told is fatal.

An empty root is a disk that is not mounted. An empty *location* below a root that holds something is what a finished case
leaves behind: it is told, and there is nothing in it to destroy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from retention.decide import Criteria
from retention.errors import StoreUnavailable
from retention.schedule import Disposition, TriggerKind
from storage.contract import Finding
from storage.files import gate
from storage.files.facts import Facts, Register, tree_location
from storage.files.recorder import Frigate
from storage.files.sealed_name import read_name
from storage.files.tree import Tree, open_root

_RUN_THERE = "run the program on the machine that holds the disks"


def encoding_findings(criteria: Criteria) -> Iterator[Finding]:
    """Names are bytes; they are kept apart only where Python reads them as UTF-8 with its escape for other bytes."""
    if os.fsencode("é\udce9") != b"\xc3\xa9\xe9":
        yield fatal(criteria, "file names are not read as UTF-8 here", "run with LC_ALL=C.UTF-8")


def consent_findings(criteria: Criteria, register: Register) -> Iterator[Finding]:
    """Whether the store that records the consent of the rows here can be asked, and somebody consents in it."""
    recorded = tree_location(criteria).recorded
    if recorded is None:
        return
    try:
        register.consents(recorded)
    except StoreUnavailable as error:
        yield fatal(criteria, error.message, error.hint)


def layout_findings(criteria: Criteria, facts: Facts) -> Iterator[Finding]:
    """What of the location's settings cannot work, or keeps more than meant."""
    location = facts.location
    if criteria.record_type.disposition is Disposition.ANONYMIZE and location.rows is None:
        yield fatal(criteria, "files can only be purged, not anonymized", 'write disposition = "purge"')
    if location.unit not in ("file", "folder"):
        yield fatal(criteria, "the unit is neither file nor folder", 'write unit = "file" or unit = "folder"')
    of_rows = location.rows is not None and location.rows.trigger is not None
    if not of_rows and location.trigger_kind in (TriggerKind.TIMESTAMP, TriggerKind.DATE):
        yield fatal(
            criteria, "a file has no trigger of that kind", "use name, modified, changed or registered"
        )
    if location.rows is not None and location.unit != "file":
        yield fatal(criteria, "rows are in files, not in folders", 'write unit = "file", or leave it out')
    yield from footage_findings(criteria, facts)


def footage_findings(criteria: Criteria, facts: Facts) -> Iterator[Finding]:
    """What of a layout gives no trigger, or keeps more than meant: for files and objects alike."""
    location = facts.location
    if location.trigger_kind is TriggerKind.NAME and not facts.layout.names_time:
        yield fatal(
            criteria,
            "the trigger is the name and the layout names no time",
            "add {Y}, {m} and {d} to the layout",
        )
    if facts.footage and not facts.layout.names_camera:
        message = "the layout names no camera: a hold on any camera keeps everything here in its time"
        yield told(criteria, message, "add {camera} to the layout")
    if facts.needs_timeline and location.max_length <= 0:
        message = "footage without max_length: a file counts as lasting until the next one of its camera"
        yield told(criteria, message, "set max_length to the longest recording, in seconds")


def root_findings(criteria: Criteria, root: Path) -> Iterator[Finding]:
    """Raises `StoreUnavailable` when the root is not there."""
    descriptor = open_root(root)
    try:
        if not gate.works(descriptor):
            yield fatal(
                criteria,
                "the file system of the root cannot lock a folder, so no hold would be safe",
                _RUN_THERE,
            )
        if _is_empty(descriptor):
            yield fatal(criteria, "the root of the store is empty", "see whether the disk is mounted")
    except OSError:
        yield fatal(
            criteria, "the root of the store cannot be listed", "give the program's user the right to read it"
        )
    finally:
        os.close(descriptor)


def folder_findings(criteria: Criteria, root: Path, facts: Facts) -> Iterator[Finding]:
    """The location's own folder: there, ours to change, and on a disk that keeps its word."""
    try:
        with Tree(root, facts.location.path) as tree:
            folder = tree.open("")
            if not os.access(".", os.R_OK | os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
                message = "the folder of the location cannot be changed"
                yield fatal(
                    criteria, message, "give the program's user the rights to read, write and enter it"
                )
            elif not tree.make_lasting(""):
                yield fatal(
                    criteria,
                    "what is deleted in the folder of the location could come back after a power cut",
                    _RUN_THERE,
                )
            elif facts.location.vault_of is None and _is_empty(folder):
                # A vault has a mark to be known by, and whether it has copies is nobody's business.
                yield told(criteria, "the folder of the location is empty", "see whether the disk is mounted")
    except StoreUnavailable as error:
        yield fatal(criteria, error.message, error.hint)
    except OSError:
        yield fatal(
            criteria,
            "the folder of the location cannot be listed",
            "give the program's user the right to read it",
        )


def recorder_findings(criteria: Criteria, recorder: Frigate | None) -> Iterator[Finding]:
    """Whether the recorder can be asked what it protects."""
    if recorder is None:
        return
    try:
        recorder.protection()
    except StoreUnavailable as error:
        yield fatal(criteria, error.message, error.hint)


def sealing_findings(criteria: Criteria, root: Path) -> Iterator[Finding]:
    """What a crash between sealing a file and removing it leaves: as long as the plaintext lies there, its key's death destroys nothing.

    Whose sealed file it is only the key store knows, so a stranger's with our suffix counts too: it keeps, it destroys nothing.
    """
    if criteria.record_type.disposition is not Disposition.CRYPTO_SHRED:
        return
    beside = 0
    try:
        with Tree(root, tree_location(criteria).path) as tree:
            for visit in tree.walk(lambda _: False, lambda _: None):
                names = {entry.name for entry in visit.entries}
                sealed = (read_name(name) for name in names)
                beside += sum(name is not None and name.whole and name.original in names for name in sealed)
    except StoreUnavailable:
        return  # told by `folder_findings`
    if beside:
        yield fatal(
            criteria,
            f"{beside} plaintext{'s lie' if beside > 1 else ' lies'} beside a sealed copy: a sealing was interrupted",
            "finish it: retention seal --execute; a stranger's file with our suffix has to be moved away",
        )


def _is_empty(descriptor: int) -> bool:
    with os.scandir(descriptor) as entries:
        return next(entries, None) is None


def fatal(criteria: Criteria, message: str, hint: str) -> Finding:
    """Nothing may be destroyed here until it is solved."""
    return Finding(location=criteria.location.name, message=message, hint=hint, fatal=True)


def told(criteria: Criteria, message: str, hint: str) -> Finding:
    """Something to know about the location as a whole."""
    return Finding(location=criteria.location.name, message=message, hint=hint, count=0)
