"""What a command answers: facts for programs, lines for people, and the exit code. Printed in one place, here.

Refuses to write personal data as JSON by accident: a value wrapped in `Personal` has no JSON form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePath
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from console.cli.session import clean

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under headings. ``right``: columns of numbers. ``whole``: columns that are never broken over lines."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int] = frozenset()
    whole: frozenset[int] = frozenset()
    indent: int = 0


Line = str | Text | Table


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``command``: names the format of the JSON document (``hold.show`` → ``retention.hold.show/1``). ``plain``: instead of
    lines, text that goes out byte for byte (a schema)."""

    command: str
    body: Mapping[str, Any]
    lines: Sequence[Line] = ()
    exit_code: int = 0
    notes: Sequence[str] = field(default=())
    """Told on standard error."""
    plain: str | None = None


def document(answer: Answer) -> str:
    """The answer as one JSON document."""
    whole = {"format": f"retention.{answer.command}/{VERSION}", **answer.body}
    return json.dumps(whole, default=_plain, ensure_ascii=False, indent=2)


def show(lines: Sequence[Line], console: Console) -> None:
    for line in lines:
        if isinstance(line, Table):
            console.print(_table(line))
        elif isinstance(line, Text):
            console.print(line, soft_wrap=True)
        else:
            console.print(clean(line), soft_wrap=True)


def heading(text: str) -> Text:
    return Text(clean(text), "bold")


def good(text: str) -> Text:
    return Text(clean(text), "green")


def bad(text: str) -> Text:
    return Text(clean(text), "red")


def doubtful(text: str) -> Text:
    return Text(clean(text), "yellow")


def number(count: int) -> str:
    """A count with separators: 50,000."""
    return f"{count:,}"


def moment(at: datetime | None) -> str:
    """A time for people, in UTC to the minute; "" for none."""
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def day(on: date | None) -> str:
    return "" if on is None else on.isoformat()


def _table(table: Table) -> RichTable:
    drawn = RichTable(
        box=box.SIMPLE_HEAD if table.rows else None, show_edge=False, pad_edge=False, padding=(0, 1)
    )
    for index, head in enumerate(table.heads):
        drawn.add_column(
            head,
            justify="right" if index in table.right else "left",
            no_wrap=index in table.whole,
            overflow="fold",
        )
    for row in table.rows:
        drawn.add_row(*(Text(clean(cell)) for cell in row))
    return drawn


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
