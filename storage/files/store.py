"""`FileStore`: exports, caches and camera footage below one root on a local disk.

It refuses to follow links, to leave the root's file system, to judge what its layout does not recognise, and to call a file
absent when the disk may not be the same. It claims nothing about the medium: unlinking leaves the bytes on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path

from retention.coverage import Place
from retention.decide import CANNOT_DECIDE, Criteria, Keep, KeepReason
from retention.errors import ScheduleInvalid
from retention.holds import Hold
from retention.outcomes import Fate, Presence
from retention.records import Record
from storage.contract import Claim, Finding, Lines, Pace, Survey
from storage.files import checks, gate, survey, unreadable, vault
from storage.files.batch import FileBatch, presence
from storage.files.facts import UNRECOGNISED, Facts, NoRegister, Register, tree_location
from storage.files.inventory import inventory
from storage.files.lines import from_text, read_line, to_text
from storage.files.recorder import NOTHING, Frigate
from storage.files.survey import Look
from storage.files.tree import open_root
from storage.rows import survey as rows
from storage.rows.batch import PACE, RowBatch
from storage.rows.batch import presence as rows_presence
from storage.rows.claim import claim as rows_claim
from storage.rows.facts import RowFacts
from storage.rows.lines import is_row, read_row
from storage.rows.shelf import FolderShelf


class FileStore:
    """A store of kind *files* or *footage*. ``now``: the aware time, asked at the start of every survey and batch.

    ``register``: gives what the registry of exports knows, asked at the same moments. Locations whose records are rows inside
    the files are left to `storage.rows`.
    ``root_of``: the root folder of another file store, for the vault of a location. ``recorder``: the database file of the recorder
    that writes here.
    """

    sealed: None = None

    def __init__(
        self,
        name: str,
        root: Path,
        *,
        now: Callable[[], datetime],
        register: Callable[[], Register] = NoRegister,
        root_of: Callable[[str], Path] | None = None,
        recorder: Path | None = None,
    ) -> None:
        self._name = name
        self._root = root
        self._now = now
        self._register = register
        self._root_of = root_of
        self._recorder = recorder

    @property
    def name(self) -> str:
        return self._name

    @property
    def pace(self) -> Pace:
        """Two workers: one decides and writes evidence while the kernel unlinks for the other. More are slower (measured)."""
        return Pace(workers=2, first=500, most=5000, seconds=0.3)

    def check(self, criteria: Criteria) -> list[Finding]:
        """Raises `StoreUnavailable` when the root is not there."""
        try:
            facts = Facts(criteria, self._now())
        except ScheduleInvalid as error:
            return [
                Finding(location=criteria.location.name, message=error.message, hint=error.hint, fatal=True)
            ]
        return [
            *checks.encoding_findings(criteria),
            *checks.layout_findings(criteria, facts),
            *checks.root_findings(criteria, self._root),
            *checks.folder_findings(criteria, self._root, facts),
            *checks.recorder_findings(criteria, self._recorder_of(criteria)),
            *checks.sealing_findings(criteria, self._root),
            *checks.consent_findings(criteria, self._register()),
        ]

    def pace_at(self, criteria: Criteria) -> Pace:
        """How fast one location may be worked on: rows in larger batches, since each writes a file anew."""
        return PACE if tree_location(criteria).rows is not None else self.pace

    def inventory(self) -> Iterator[Place]:
        return inventory(self._root)

    def survey(
        self,
        criteria: Criteria,
        holds: Sequence[Hold],
        write: Callable[[bytes], object],
        progress: Callable[[int], None],
    ) -> Survey:
        if tree_location(criteria).rows is not None:
            return rows.survey(self._rows(criteria, holds), criteria, write, progress)
        look = self._look(criteria, holds)
        return survey.survey(look, criteria, write, progress)

    def _rows(self, criteria: Criteria, holds: Sequence[Hold]) -> rows.RowLook:
        now, register = self._now(), self._register()
        facts = RowFacts(criteria, now, register, holds)
        return rows.RowLook(
            criteria, facts, FolderShelf(criteria, self._root, now, register, facts.rows.encoding)
        )

    def read(self, criteria: Criteria, key: str) -> Record | None:
        """``key``: path below the location's folder, as `cannot_decide` and manifests write it; a row's is ``path#key``."""
        if tree_location(criteria).rows is not None:
            return self._rows(criteria, ()).one(key)
        try:
            path = from_text(key)
        except ValueError:
            return None
        return self._look(criteria, ()).one(path)

    def cannot_decide(
        self, criteria: Criteria, holds: Sequence[Hold], limit: int
    ) -> Iterator[tuple[str, KeepReason, str]]:
        left = limit
        if left <= 0:
            return
        if tree_location(criteria).rows is not None:
            yield from islice(rows.undecidable(self._rows(criteria, holds), CANNOT_DECIDE), limit)
            return
        for judged in self._look(criteria, holds):
            if isinstance(judged, survey.SealedFile):
                continue
            if isinstance(judged, survey.Stranger):
                told = (to_text(judged.path), KeepReason.UNDECIDABLE, UNRECOGNISED)
            elif isinstance(judged.decision, Keep) and judged.decision.primary in CANNOT_DECIDE:
                told = (to_text(judged.seen.path), judged.decision.primary, " ".join(judged.decision.detail))
            else:
                continue
            yield told
            left -= 1
            if left == 0:
                return

    def reference(self, line: bytes) -> str:
        if is_row(line):
            return read_row(line).reference
        return to_text(read_line(line).path)

    @contextmanager
    def batch(self, criteria: Criteria) -> Iterator[FileBatch | RowBatch]:
        batch = self._open_batch(criteria)
        try:
            with gate.entered(batch.top):
                yield batch
        finally:
            batch.close()

    def _open_batch(self, criteria: Criteria) -> FileBatch | RowBatch:
        now, register = self._now(), self._register()
        if tree_location(criteria).rows is not None:
            return RowBatch(criteria, self._root, now, register)
        return FileBatch(criteria, self._root, now, recorder=self._recorder_of(criteria), register=register)

    def barrier(self, timeout: float) -> None:
        root = open_root(self._root)
        try:
            gate.pass_barrier(root, timeout)
        finally:
            os.close(root)

    def preserve(self, criteria: Criteria, holds: Sequence[Hold]) -> int:
        """Copies what these holds keep into the location's vault, if it has one."""
        copies = tree_location(criteria).in_vault(criteria.record_type.id)
        if copies is None or self._root_of is None:
            return 0
        return vault.keep(
            criteria, self._root, holds, vault=self._root_of(copies.store), below=copies.path, now=self._now()
        )

    def fate(self, witness: str) -> Fate:
        """Files have no transactions: only a read-back can tell."""
        return Fate.NONE

    def presence(self, criteria: Criteria, lines: Lines) -> list[Presence]:
        if tree_location(criteria).rows is not None:
            return rows_presence(criteria, self._root, self._now(), [read_row(line) for line in lines])
        return presence(
            self._root, tree_location(criteria).path, [read_line(line) for line in lines], sync=True
        )

    def _look(self, criteria: Criteria, holds: Sequence[Hold]) -> Look:
        recorder = self._recorder_of(criteria)
        protection = NOTHING if recorder is None else recorder.protection()
        return Look(
            criteria, self._root, self._now(), holds, protection=protection, register=self._register()
        )

    def _recorder_of(self, criteria: Criteria) -> Frigate | None:
        """The recorder that the location names. Without its database nobody knows what it protects: then asking it fails."""
        if tree_location(criteria).recorder is None:
            return None
        return Frigate(self._recorder)

    def remove_unreadable(
        self, criteria: Criteria, are_destroyed: Callable[[Sequence[str]], Sequence[bool]]
    ) -> int:
        """Remove sealed files whose keys are destroyed; see `storage.files.unreadable`."""
        return unreadable.remove_unreadable(criteria, self._root, are_destroyed)

    def claim(self, criteria: Criteria) -> Claim:
        if tree_location(criteria).rows is not None:
            return rows_claim(criteria)
        what = (
            "event folders with everything in them" if tree_location(criteria).unit == "folder" else "files"
        )
        return Claim(
            method="none-claimed",
            technique=f"{what} deleted (unlinked) and their folders synchronised to the disk; medium not sanitised",
            verification="looked up again by name, along a new path from the root of the store",
            not_claimed=(
                "The bytes remain on the medium until the file system uses the space again; overwriting would not change that "
                "on copy-on-write, journalled or flash media.",
                "Snapshots, backups, replicas and copies of the storage system are not covered.",
                "A program that had a file open could read it until it closed it.",
                "Databases of the recorder that name the files are not covered.",
            ),
        )

    def close(self) -> None:
        """Nothing is kept open between calls."""
