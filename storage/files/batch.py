"""One batch in a file store: choose, unlink, make it last, look again.

What can happen to a file between two looks, and what is made of it:

- another inode, size or time, a second hard link, a link in its place: withheld, or not unlinked and read back as present;
- gone before it was chosen: absent. Gone *after* it was chosen and not by our unlink: unreadable, since nobody knows whether it
  was destroyed or moved. "Absent" is answered only for what this batch itself unlinked;
- no right to unlink, or busy: that file stays and is read back as present, the others go on;
- an input/output error or a stale handle: nothing more is unlinked, what was is made to last, and `StoreUnavailable` says that
  the result is uncertain;
- the folder cannot be synchronised: its files may come back after a power cut, so they are read back as unreadable.

Between the last look at a file and its unlink lie a few microseconds in which it could still be exchanged: the file system has
no call that unlinks an inode rather than a name.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from pathlib import Path

from retention.decide import Criteria, Due
from retention.errors import StoreUnavailable
from retention.holds import Hold
from retention.layout import Placed
from retention.outcomes import Presence
from storage.contract import Lines, Staged
from storage.files.deciding import decide_all
from storage.files.facts import SIDECAR, Found, Register, Sighting, found
from storage.files.folder import Inventory, destroy_folder, is_same, look, take_inventory
from storage.files.lines import Line, read_line
from storage.files.recorder import NOTHING, Frigate
from storage.files.row_copies import facts_at
from storage.files.tree import LOST, Bar, Barred, Tree, join, split, unavailable
from storage.files.vault import note_going

_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A file about to go. ``above``: inode of its folder, so that another folder under the same name is noticed."""

    line: Line
    above: int
    inventory: Inventory | None


class FileBatch:
    """The batch of one location. Made by `storage.files.store.FileStore.batch`, inside the gate."""

    def __init__(
        self,
        criteria: Criteria,
        root: Path,
        now: datetime,
        *,
        recorder: Frigate | None = None,
        register: Register | None = None,
    ) -> None:
        self._criteria = criteria
        self._root = root
        self._recorder = recorder
        protection = NOTHING if recorder is None else recorder.protection()
        self._facts = facts_at(criteria, root, now, protection, register)
        self._tree = Tree(root, self._facts.location.path)
        self._chosen: list[_Chosen] = []
        self._unlinked: set[int] = set()
        self._passing: set[str] = set()
        """Folders whose changes may not outlive a power cut."""
        self._folder = "", self._tree.inode
        """The folder of the line before, with its inode: lines come folder by folder."""
        self._over = False

    @property
    def top(self) -> int:
        """The descriptor of the root that this batch locks."""
        return self._tree.top

    def close(self) -> None:
        self._tree.close()

    # -- step 5 ------------------------------------------------------------------------------------------------------

    def stage(self, lines: Lines, holds: Iterable[Hold]) -> Staged:
        """Raises `VerificationFailed` for a line no survey wrote, `StoreUnavailable` when the disk does not answer."""
        candidates: list[tuple[int, _Chosen, Sighting]] = []
        absent: list[int] = []
        for index, line in enumerate([read_line(line) for line in lines]):
            try:
                candidate = self._candidate(line)
            except Barred as barred:
                if barred.bar is Bar.ABSENT:
                    absent.append(index)
                continue
            if candidate is not None and candidate[0].identity == line.identity and not candidate[0].odd:
                it, item = candidate
                end = None if line.end is None else _ZERO + timedelta(microseconds=round(line.end * 1e6))
                candidates.append((index, item, self._facts.sight_again(line.path, it, end)))
        decisions = decide_all(
            self._criteria, self._facts, self._facts.holds(holds), [seen for _, _, seen in candidates]
        )
        chosen: list[int] = []
        for (index, item, _), decision in zip(candidates, decisions, strict=True):
            if isinstance(decision, Due):
                chosen.append(index)
                self._chosen.append(item)
        return Staged(chosen=tuple(chosen), absent=tuple(absent))

    def _candidate(self, line: Line) -> tuple[Found, _Chosen] | None:
        """The file as it is now; ``None`` when another disk is here or something else stands in its place. Raises `Barred`."""
        if self._tree.device != line.identity.device:
            return None
        folder, name = split(line.path)
        if folder != self._folder[0]:
            self._folder = folder, os.fstat(self._tree.open(folder)).st_ino
        seen = look(self._tree, folder, name)
        if seen is None:
            raise Barred(Bar.ABSENT)
        above = self._folder[1]
        if self._facts.location.unit != "folder":
            return found(seen), _Chosen(line, above, None)
        if not stat.S_ISDIR(seen.st_mode):
            return None
        inventory = take_inventory(self._tree, line.path)
        return inventory.found, _Chosen(line, above, inventory)

    # -- step 7 ------------------------------------------------------------------------------------------------------

    def destroy(self) -> None:
        """Unlink what was staged and make it last. Raises `StoreUnavailable` when the result is uncertain."""
        if self._over:
            raise StoreUnavailable("the batch is over", "open another one")
        self._over = True
        if self._facts.location.vault_of is not None and self._chosen:
            below = self._facts.location.path
            note_going(self._root, (join(below, item.line.path) for item in self._chosen))
        touched: set[str] = set()
        lost: int | None = None
        for index, item in enumerate(self._chosen):
            try:
                if self._destroy_one(item, touched):
                    self._unlinked.add(index)
            except Barred:
                continue
            except StoreUnavailable:
                lost = errno.EIO
                break
            except OSError as error:
                if error.errno in LOST:
                    lost = error.errno
                    break
        self._remove_emptied(touched)
        self._passing = {path for path in sorted(touched) if not self._tree.make_lasting(path)}
        self._tell_recorder()
        if lost is not None:
            raise unavailable(lost, "the store")
        if self._passing:
            raise StoreUnavailable(
                "what was deleted could not be written to the disk", "see whether the disk is in order"
            )

    def _tell_recorder(self) -> None:
        if self._recorder is None:
            return
        lines = [self._chosen[index].line for index in sorted(self._unlinked)]
        placed = [(line.path, self._facts.layout.read(line.path)) for line in lines]
        self._recorder.forget(
            (place.camera, self._facts.readings.earliest(place.start), path)
            for path, place in placed
            if isinstance(place, Placed) and place.camera is not None and place.start is not None
        )

    def _destroy_one(self, item: _Chosen, touched: set[str]) -> bool:
        """True when it went by our own hand. Raises ``OSError``, `Barred`, `StoreUnavailable`."""
        folder, name = split(item.line.path)
        descriptor = self._tree.open(folder)
        if folder not in touched and os.fstat(descriptor).st_ino != item.above:
            return False
        if item.inventory is not None:
            touched.update((folder, *item.inventory.folders))
            return destroy_folder(self._tree, item.inventory)
        seen = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if not is_same(seen, item.line.identity):
            return False
        touched.add(folder)
        os.unlink(name, dir_fd=descriptor)
        if self._facts.has_sidecar(item.line.path):
            with suppress(FileNotFoundError):
                os.unlink(name + SIDECAR, dir_fd=descriptor)
        return True

    def _remove_emptied(self, touched: set[str]) -> None:
        """Remove folders that we emptied, and those above that became empty so. Folders that the layout names stay."""
        waiting = [(-path.count("/"), path) for path in touched if path]
        heapify(waiting)  # innermost first: a folder is tried once, after everything in it
        while waiting:
            depth, path = heappop(waiting)
            if self._facts.layout.is_fixed(-depth):
                continue
            above, name = split(path)
            try:
                os.rmdir(name, dir_fd=self._tree.open(above))
            except FileNotFoundError:
                pass  # an event folder that went whole
            except Barred as barred:
                if barred.bar is not Bar.ABSENT:
                    continue
            except (OSError, StoreUnavailable):
                continue
            self._tree.forget(path)
            touched.discard(path)
            if above not in touched:
                touched.add(above)
                if above:
                    heappush(waiting, (-above.count("/"), above))

    # -- step 8 ------------------------------------------------------------------------------------------------------

    def read_back(self) -> list[Presence]:
        """Look again along new paths from the root. "Absent" only for what was unlinked here and will stay so."""
        lines = [item.line for item in self._chosen]
        seen = presence(self._root, self._facts.location.path, lines, sync=False)
        return [
            Presence.UNREADABLE if answer is Presence.ABSENT and not self._is_ours(index, item) else answer
            for index, (answer, item) in enumerate(zip(seen, self._chosen, strict=True))
        ]

    def _is_ours(self, index: int, item: _Chosen) -> bool:
        if index not in self._unlinked:
            return False
        return not any(item.line.path.startswith(f"{path}/") or not path for path in self._passing)


def presence(root: Path, below: str, lines: Iterable[Line], *, sync: bool) -> list[Presence]:
    """What is at these paths now. ``sync``: first make sure that an absence outlives a power cut.

    Unreadable where nobody can say: the root or the location's folder is not there, another disk is, a folder was exchanged.
    """
    lines = list(lines)
    try:
        with Tree(root, below) as tree:
            looker = _Looker(tree, sync)
            return [looker.presence(line) for line in lines]
    except StoreUnavailable:
        return [Presence.UNREADABLE] * len(lines)


class _Looker:
    """Fresh lookups that remember the last folder, since lines come folder by folder."""

    def __init__(self, tree: Tree, sync: bool) -> None:
        self._tree = tree
        self._sync = sync
        self._lasting: dict[str, bool] = {}
        self._folder: str | None = None
        self._bar: Bar | None = None

    def presence(self, line: Line) -> Presence:
        if line.identity.device != self._tree.device:
            return Presence.UNREADABLE
        folder, name = split(line.path)
        try:
            if self._bar_of(folder) is None and look(self._tree, folder, name) is not None:
                return Presence.PRESENT
        except (Barred, StoreUnavailable):
            return Presence.UNREADABLE
        if self._bar not in (None, Bar.ABSENT):
            return Presence.UNREADABLE
        return Presence.ABSENT if not self._sync or self._lasts(folder) else Presence.UNREADABLE

    def _bar_of(self, folder: str) -> Bar | None:
        if folder != self._folder:
            self._folder, self._bar = folder, None
            try:
                self._tree.open(folder)
            except Barred as barred:
                self._bar = barred.bar
        return self._bar

    def _lasts(self, folder: str) -> bool:
        if folder not in self._lasting:
            self._lasting[folder] = self._tree.make_lasting(folder)
        return self._lasting[folder]
