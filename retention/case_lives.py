"""Opened before, closed after: which cases the transparency log saw begin, and which of them it saw end.

A case ends with its first certificate or with a record that it destroyed nothing. One that began and did not end is shown for as
long as the log lives: it may be at work, or interrupted, or somebody destroyed and did not certify. Refuses an end without a
beginning, from the first beginning in the log on: logs of earlier versions have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from retention.certificate import PREDICATE_TYPE
from retention.document import JSON, read
from retention.errors import VerificationFailed
from retention.logged import CASE_STARTED, NOTHING_DESTROYED, CaseStarted

_ENDS = frozenset({PREDICATE_TYPE, NOTHING_DESTROYED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A case that began and has not ended. ``position``: of its entry in the log."""

    position: int
    case: str
    record_type: str
    started: datetime


@dataclass(kw_only=True)
class Lives:
    """Told of every entry in its order."""

    _open: dict[str, Begun] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    """Cases that began or ended."""
    _began: bool = False

    @property
    def open(self) -> tuple[Begun, ...]:
        """Those without an end, oldest first."""
        return tuple(self._open.values())

    def see(self, position: int, statement: Mapping[str, JSON]) -> None:
        """``statement``: of the entry; of one entered by its digest, what the entry says of it.

        Raises `VerificationFailed` for a case that begins twice or after its end, or ends without having begun.
        """
        kind = statement.get("predicateType")
        if kind == CASE_STARTED:
            said = read(CaseStarted, statement.get("predicate"), f"entry {position} of the log")
            if said.case in self._known:
                raise VerificationFailed(f"entry {position} of the log: case {said.case} began before")
            self._began = True
            self._known.add(said.case)
            self._open[said.case] = Begun(
                position=position, case=said.case, record_type=said.record_type, started=said.started
            )
        elif kind in _ENDS:
            case = _subject(position, statement)
            if self._began and case not in self._known:
                raise VerificationFailed(
                    f"entry {position} of the log: case {case} ended, and nothing says that it began"
                )
            self._known.add(case)
            self._open.pop(case, None)


def _subject(position: int, statement: Mapping[str, JSON]) -> str:
    match statement.get("subject"):
        case [{"name": str(name)}]:
            return name
    raise VerificationFailed(f"entry {position} of the log does not name its case")
