"""Problems of a retention schedule: what is wrong, on which line, and what to do about it.

A problem names keys and values of the schedule file, never a record. Control characters are escaped, so that a message
stays one line whatever the file holds. The codes are listed in ``docs/schedule.md`` and do not change their meaning.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from retention.errors import ScheduleInvalid


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing that is wrong with the schedule. ``line`` counts from 1."""

    file: str
    line: int
    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """``file:line: error[P012] message``, with the hint on a line of its own."""
        first = f"{self.file}:{self.line}: error[{self.code}] {self.message}"
        return f"{first}\n  hint: {self.hint}" if self.hint else first


class ScheduleProblems(ScheduleInvalid):
    """Every problem of a schedule at once; ``problems`` in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
        super().__init__(
            f"the schedule has {count}\n" + "\n".join(map(str, problems)),
            "mend the file; nothing runs under it until then",
        )
        self.args = (problems,)
        self.problems = problems


def quote(value: object) -> str:
    """A name or value of the file inside a message: one line, at most 60 characters, control characters escaped."""
    text = one_line(repr(value) if isinstance(value, str) else str(value))
    return text if len(text) <= 60 else text[:57] + "..."


def one_line(text: str) -> str:
    """The text with control characters escaped."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that offers the nearest known word, or lists them all when they are few."""
    words = sorted(map(str, known))
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"did you mean {quote(near[0])}?"
    return f"one of: {', '.join(words)}" if 0 < len(words) <= 16 else ""
