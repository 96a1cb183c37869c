"""What the demo says: short chapters in plain words, and facts that it has checked. Results go to standard output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from console.cli.answer import Line, Table, bad, good, heading, show


class Teller:
    """Tells the chapters. ``wrong``: facts that did not hold; the demo fails with any of them."""

    def __init__(self, out: Console, err: Console, *, quiet: bool = False) -> None:
        self._out = out
        self._err = err
        self._quiet = quiet
        self._chapters = 0
        self.facts = 0
        self.wrong: list[str] = []

    def title(self, text: str, *lines: str) -> None:
        self._print(heading(text), *lines)

    def chapter(self, text: str) -> None:
        self._chapters += 1
        self._print("", heading(f"{self._chapters}. {text}"))

    def say(self, *lines: str) -> None:
        self._print(*(f"   {line}" for line in lines))

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int]) -> None:
        self._print(
            Table(
                heads=["  ", *heads],
                rows=[["", *row] for row in rows],
                right=frozenset(index + 1 for index in right),
            )
        )

    def check(self, fact: str, holds: bool) -> None:
        """Say a fact that was looked at just now, and whether it is so."""
        self.facts += 1
        if holds:
            self._print(good(f"   yes  {fact}"))
            return
        self.wrong.append(fact)
        show([bad(f"   NO   {fact}")], self._out)

    def verdict(self, text: str) -> None:
        """Said even when quiet."""
        self._print("")
        show([bad(text) if self.wrong else good(text)], self._out)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show on a terminal what takes its time; a program sees nothing of it."""
        if self._err.is_terminal and not self._quiet:
            with self._err.status(f"{what} …"):
                yield
        else:
            yield

    def _print(self, *lines: Line) -> None:
        if not self._quiet:
            show(lines, self._out)
