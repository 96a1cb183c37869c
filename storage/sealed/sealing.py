"""Sealing the files of one location: what is to be sealed, what stays as it is, and what a crash has left behind.

It refuses what the file store would not judge either: the newest and the growing, links and hard links, names that match no layout,
files without a trigger. Held records are sealed like all others; the push-down of holds moves their keys. Files with our suffix whose
object the key store does not know are told and never touched.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from retention.decide import Criteria
from retention.errors import KeyDestroyed, ScheduleInvalid
from retention.expiry import period_of
from retention.schedule import Disposition
from storage.contract import Finding
from storage.files.facts import UNRECOGNISED, Sighting, tree_location
from storage.files.sealed_name import read_name
from storage.files.survey import Judged, Look, SealedFile
from storage.files.tree import Bar, Tree, join
from storage.keys.keystore import KeyStore
from storage.keys.values import ObjectState
from storage.sealed.sealing_file import Bench, NotSealed, facts_of
from storage.sealed.sealing_result import Sealing

NO_TRIGGER = "its name and times give no trigger"
LINK = "a symbolic link"
NO_PLAINTEXT = "half sealed and without its plaintext"


@dataclass(kw_only=True)
class _Lying:
    """Sealed files as they lie there. ``half``: being sealed, by id, with their paths. ``dead``: half-written, their keys taken away.
    ``twins``: registered copies whose plaintext is still there, by its path.
    """

    before: int = 0
    foreign: int = 0
    half: dict[str, str] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    twins: dict[str, str] = field(default_factory=dict)


class FileSealer:
    """Seals at one location. ``now``: aware, asked for every file. ``pulse``: see `Bench`."""

    def __init__(
        self,
        criteria: Criteria,
        root: Path,
        keys: KeyStore,
        *,
        now: Callable[[], datetime],
        pulse: Callable[[], object] = lambda: None,
    ) -> None:
        """Raises `ScheduleInvalid` for a location whose records are not to be crypto-shredded: a purge would not find them."""
        if criteria.record_type.disposition is not Disposition.CRYPTO_SHRED:
            raise ScheduleInvalid(
                f"record type {criteria.record_type.id} is not sealed by the schedule",
                'seal what has disposition = "crypto-shred"',
            )
        self._criteria = criteria
        self._location = tree_location(criteria)
        if self._location.unit != "file":
            raise ScheduleInvalid("only single files are sealed, not event folders", 'use unit = "file"')
        self._root = root
        self._keys = keys
        self._now = now
        self._pulse = pulse

    def plan(self, progress: Callable[[int], object] = lambda _: None) -> Sealing:
        """What would be sealed. Changes nothing. Raises `StoreUnavailable`."""
        return self._run(None, progress)

    def seal(self, progress: Callable[[int], object] = lambda _: None) -> Sealing:
        """Seal what is ready. ``progress``: files sealed so far. Raises `StoreUnavailable`, `Refused`."""
        with Tree(self._root, self._location.path) as tree:
            return self._run(Bench(tree, self._keys, self._now, self._pulse), progress)

    def _run(self, bench: Bench | None, progress: Callable[[int], object]) -> Sealing:
        result = Sealing(
            record_type=self._criteria.record_type.id,
            location=self._location.name,
            store=self._location.store,
        )
        lying = self._mend(bench, result)
        look = Look(self._criteria, self._root, self._now(), ())
        for found in look:
            if isinstance(found, SealedFile):
                continue  # looked at by `_mend`
            if not isinstance(found, Judged):
                result.left[LINK if found.link else UNRECOGNISED] += 1
                continue
            seen = found.seen
            why = seen.undecidable or (NO_TRIGGER if seen.trigger is None else "")
            if why:
                result.left[why] += 1
                continue
            try:
                self._one(bench, look, seen, lying)
            except NotSealed as stays:
                result.left[stays.why] += 1
                continue
            result.sealed += 1
            result.size += seen.it.identity.size
            result.seconds += _seconds(seen)
            progress(result.sealed)
        result.findings = list(_findings(self._location.name, result, look.bars))
        return result

    def _one(self, bench: Bench | None, look: Look, seen: Sighting, lying: _Lying) -> None:
        if bench is None:
            return
        twin = lying.twins.get(seen.path)
        if twin is not None:
            try:
                bench.remove(seen.path, twin)
            except (NotSealed, KeyDestroyed):
                # Written to again since, or its period was destroyed before the plaintext went: another content, another key.
                pass
            else:
                return
        assert seen.trigger is not None  # asked before
        facts = facts_of(look.facts.record(seen), seen.it, seconds=_seconds(seen))
        bench.seal(seen.path, seen.it, facts, period_of(self._criteria, seen.trigger))

    # -- what lies there already -------------------------------------------------------------------------------------

    def _mend(self, bench: Bench | None, result: Sealing) -> _Lying:
        """Count the sealed files, and finish or take away what a crash has left."""
        half: dict[str, str] = {}
        known = _known(self._criteria, self._keys, half)
        lying, whole = _lying(self._criteria, self._root, half, known)
        result.before, result.foreign = lying.before, lying.foreign
        if bench is not None:
            for id, path in lying.half.items():
                self._settle(bench, id, path, result)
            for path in lying.dead:
                bench.discard(path)
                result.taken_away += 1
            if whole:  # a folder that could not be entered may hold the copy
                for id in half.keys() - lying.half.keys():
                    self._keys.abandon_sealing(id, at=self._now())
                    result.taken_away += 1
        return lying

    def _settle(self, bench: Bench, id: str, path: str, result: Sealing) -> None:
        name = read_name(path)
        assert name is not None  # it was found by its name
        folder, _, original = name.original.rpartition("/")
        there = any(entry.name == original for entry in bench.tree.list(folder))
        if name.whole and not there and not self._is_resealing(bench, folder, original, id):
            # Nobody knows who took the plaintext away: this copy may be all there is, and may be what a purge has certified.
            result.left[NO_PLAINTEXT] += 1
            return
        try:
            if not (name.whole and there):
                raise NotSealed("")
            bench.finish(name.original, id)
        except NotSealed:
            bench.take_away(name.original, id)
            result.taken_away += 1
        else:
            result.resumed += 1

    def _is_resealing(self, bench: Bench, folder: str, original: str, id: str) -> bool:
        """Whether a finished sealed copy of the same file lies beside it: then it was to take that one's place."""
        names = [read_name(entry.name) for entry in bench.tree.list(folder) if entry.kind == "f"]
        others = [
            name.id for name in names if name is not None and name.original == original and name.id != id
        ]
        known = [other for other, kid in zip(others, self._keys.kids(others), strict=True) if kid is not None]
        return any(self._keys.object(other).state is ObjectState.SEALED for other in known)


def _known(criteria: Criteria, keys: KeyStore, half: dict[str, str]) -> array[int]:
    """The ids of all objects of the location as numbers, in order: eight bytes each. Those being sealed are put into ``half``."""
    known = array("Q")
    for one in keys.objects(record_type=criteria.record_type.id, location=criteria.location.name):
        if one.state is ObjectState.SEALING:
            half[one.id] = ""
        known.append(int(one.id, 16))
    return known


def _lying(criteria: Criteria, root: Path, half: dict[str, str], known: array[int]) -> tuple[_Lying, bool]:
    """Every file that is called like a sealed one, and whether every folder could be looked into."""
    lying = _Lying()
    bars: Counter[Bar] = Counter()
    with Tree(root, tree_location(criteria).path) as tree:
        for visit in tree.walk(lambda _: False, lambda bar: bars.update((bar,))):
            names = [
                (entry.name, name)
                for entry in visit.entries
                if entry.kind == "f" and (name := read_name(entry.name)) is not None
            ]
            plain = {entry.name for entry in visit.entries} if names else set()
            for text, name in names:
                if name.id in half:
                    lying.half[name.id] = join(visit.path, text)
                elif not _has(known, int(name.id, 16)):
                    lying.foreign += 1
                elif not name.whole:
                    lying.dead.append(join(visit.path, text))
                else:
                    lying.before += 1
                    if name.original in plain:
                        lying.twins[join(visit.path, name.original)] = name.id
    return lying, not bars


def _has(known: array[int], number: int) -> bool:
    at = bisect_left(known, number)
    return at < len(known) and known[at] == number


def _seconds(seen: Sighting) -> float:
    return 0.0 if seen.start is None or seen.end is None else (seen.end - seen.start).total_seconds()


def _findings(location: str, result: Sealing, bars: Counter[Bar]) -> list[Finding]:
    findings = []
    if result.foreign:
        findings.append(
            Finding(
                location=location, count=result.foreign, message=f"{result.foreign} files have the suffix of sealed ones and are not known to the key store",
                hint="they are left alone; move them away, or restore the key store that knows them",
            )
        )  # fmt: skip
    if result.left[NO_PLAINTEXT]:
        findings.append(
            Finding(
                location=location, count=result.left[NO_PLAINTEXT], message=f"{result.left[NO_PLAINTEXT]} sealed copies were not finished and have no plaintext any more",
                hint="look into each: retention open OBJECT; its id stands in its name",
            )
        )  # fmt: skip
    for bar, count in sorted(bars.items()):
        if bar is not Bar.ABSENT:
            findings.append(
                Finding(location=location, count=count, message=f"{count} folders were not entered: {bar}", hint="their files were not looked at")
            )  # fmt: skip
    return findings
