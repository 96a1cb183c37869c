"""Taking rows out of an object: a new version without them is written and read back, and only then the older ones are destroyed.

Until the older versions are destroyed nothing is lost: a new version that is not as it must be, or that was not the next one after
what was read, is removed again, and what it had replaced is current as before. Older versions are deleted by their ids: what was uploaded
meanwhile is never among them. A run that is killed in between leaves the rows in the older version, where the next survey finds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, NamedTuple, cast

from retention.errors import StoreUnavailable
from storage.rows.form import Change, Unreadable
from storage.rows.rewriting import Changed
from storage.s3.listing import VERSION, Entry, at
from storage.s3.removal import Removal
from storage.s3.rewritten import Rewritten
from storage.s3.row_object import RowObject
from storage.s3.upload import Upload, kept_as
from storage.s3.wire import Wire


class Took(NamedTuple):
    """``rows``: those that went, by content; none where the store refused. ``tokens``: of what was destroyed for it."""

    rows: frozenset[bytes]
    tokens: frozenset[str]


class Rewriter:
    """Writes objects of one bucket anew. The caller holds the gate, and knows that the bucket keeps versions."""

    def __init__(self, wire: Wire, removal: Removal, rewritten: Rewritten) -> None:
        self._wire = wire
        self._removal = removal
        self._rewritten = rewritten

    def take_out(
        self, whole: RowObject, rows: Mapping[bytes, int], change: Change | None, *, chosen_here: bool
    ) -> Took:
        """Take these rows, by content, out of the object, or change them. They are all that its older versions alone hold.

        ``chosen_here``: they were chosen from these very versions, which have ids and never change. Raises
        `Changed`, `Unreadable`: then it is as before. Raises `StoreUnavailable`: what became of it has to be looked at.
        """
        if chosen_here and not whole.older:
            standing = frozenset(rows)  # where else; `_next` sees to it that every one of them goes
        else:
            with whole.form(whole.current) as form:
                standing, _ = form.look(rows)
        in_older: frozenset[bytes] = frozenset()
        for entry in whole.older:
            with whole.form(entry) as form:
                in_older |= form.look(rows)[0]
        new: Entry | None = None
        if standing:
            new = self._next(whole, {raw: rows[raw] for raw in standing}, change)
        elif not in_older:
            return Took(frozenset(), frozenset())
        kept = {whole.current.token} if not standing else set()
        self._only_ours(whole, new)
        if new is not None:
            self._rewritten.remember(new.key, new.version, whole.modified)
        going = [entry for entry in whole.entries if entry.token not in kept]
        if not self._removal.remove([going]):
            return Took(frozenset(), frozenset())
        self._rewritten.forget(going)
        return Took(standing | in_older, frozenset(entry.token for entry in going))

    def _next(self, whole: RowObject, rows: Mapping[bytes, int], change: Change | None) -> Entry | None:
        """The new version, read back; ``None`` where no row is left for one."""
        upload = Upload(self._wire, whole.key, kept_as(self._wire, whole.current), self._rewritten)
        try:
            with whole.form(whole.current) as form:
                went, gone, kept = form.rewrite(
                    cast(BinaryIO, upload), rows, change
                )  # forms only write to it
            left = kept + (gone if change is not None else 0)
            if went != rows.keys():
                raise Changed
            if not left:
                upload.discard()
                return None
            version = upload.finish()
        except BaseException:
            upload.discard()
            raise
        new = Entry(whole.key, VERSION, version, "", upload.tell(), "", True)
        try:
            with whole.form(new) as form:
                standing, count = form.look(rows)
            if standing or count != left:
                raise Unreadable("it could not be written back as it was")
        except Unreadable:
            self._undo(new)
            raise
        return new

    def _only_ours(self, whole: RowObject, new: Entry | None) -> None:
        """Nothing is at the key but what was read and what we wrote, and ours comes first. Raises `Changed`."""
        there = at(self._wire, [whole.key], len(whole.entries) + 1)[whole.key]
        unseen = {entry.token for entry in there} - whole.tokens
        if new is None:
            if unseen:
                raise Changed
            return
        first = any(entry.latest and entry.token == new.token for entry in there)
        if unseen != {new.token} or not first:
            self._undo(new)
            raise Changed

    def _undo(self, new: Entry) -> None:
        """Raises `StoreUnavailable` where it stays: then it hides what somebody uploaded, and a person has to look."""
        if not self._removal.remove([[new]]):
            raise StoreUnavailable(
                "an object that was written anew could not be put back: the store does not let the new version go",
                "look at its versions: the one before the newest is what somebody uploaded",
            )
