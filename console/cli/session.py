"""One invocation of the command: where results go, where everything else goes, and what time it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, TextIO

from rich.console import Console

from retention.problems import one_line


@dataclass(frozen=True, kw_only=True)
class Session:
    """``out`` takes results only; ``err`` takes progress, warnings, hints and errors. ``now``: another clock, for tests."""

    out: Console
    err: Console
    now: Callable[[], datetime] | None = None

    @classmethod
    def start(cls, now: Callable[[], datetime] | None = None) -> Session:
        return cls(out=console(sys.stdout), err=console(sys.stderr), now=now)

    @property
    def watched(self) -> bool:
        """Whether a person sees standard error: only then progress is drawn."""
        return self.err.is_terminal and not self.err.is_dumb_terminal

    @property
    def asks(self) -> bool:
        """Whether somebody sits there who can be asked."""
        return self.watched and sys.stdin.isatty()

    @property
    def stdin(self) -> BinaryIO:
        return sys.stdin.buffer

    def note(self, text: str) -> None:
        """Something to know that is not the result."""
        self.err.print(f"note: {clean(text)}", soft_wrap=True)

    def warn(self, text: str) -> None:
        self.err.print(f"warning: {clean(text)}", style="yellow", soft_wrap=True)

    def fail(self, message: str, hint: str = "") -> None:
        """An error: what is wrong, and what to do about it."""
        self.err.print(f"error: {clean(message)}", style="red", soft_wrap=True)
        if hint:
            self.err.print(f"hint: {clean(hint)}", soft_wrap=True)


def console(stream: TextIO) -> Console:
    """A console that takes text as it is: nothing in a file name is markup. No colour off a terminal or under NO_COLOR."""
    return Console(file=stream, markup=False, emoji=False, highlight=False)


def clean(text: str) -> str:
    """The text with control characters escaped (a file name could steer the terminal); line ends stay."""
    return "\n".join(one_line(line) for line in text.split("\n"))
