"""Reading the tables of a schedule file key by key, collecting every problem with its line.

A reader that refuses leaves a placeholder behind so that the rest can be read; whatever has a placeholder in it never leaves
`retention.loader`, which gives out a schedule only when there was no problem at all. A key nobody asked for is a problem too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from retention.fields import Reader, Wrong
from retention.positions import Path, line_of
from retention.problems import Problem, did_you_mean, one_line, quote

T = TypeVar("T")


class Report:
    """All problems found so far in one file."""

    def __init__(self, file: str, lines: Mapping[Path, int]) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._lines = dict(lines)

    def add(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Report a problem at the line of this path; the path's names lead the message."""
        where = ".".join(str(part) for part in path if isinstance(part, str))
        named = f"{one_line(where)}: {message}" if where else message
        self.problems.append(
            Problem(file=self.file, line=self.line(path), code=code, message=named, hint=hint)
        )

    def line(self, path: Path) -> int:
        return line_of(self._lines, path)


class Table:
    """One table of the file. Ask for its keys, then `close` it: what was not asked for is unknown."""

    def __init__(self, values: Mapping[str, object], path: Path, report: Report) -> None:
        self.path = path
        self.report = report
        self._values = values
        self._asked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def required(self, key: str, read: Reader[T], placeholder: T) -> T:
        """The value of a key that must be there."""
        if key not in self._values:
            self._asked.add(key)
            self.problem("P004", f"{key} is missing", "required means required: nothing is assumed for it")
            return placeholder
        found = self.optional(key, read, placeholder)
        return placeholder if found is None else found

    def optional(self, key: str, read: Reader[T], placeholder: T) -> T | None:
        """The value of a key that may be left out; ``None`` then."""
        self._asked.add(key)
        if key not in self._values:
            return None
        try:
            return read(self._values[key])
        except Wrong as wrong:
            self.problem(wrong.code, wrong.message, wrong.hint, key)
            return placeholder

    def tables(self, key: str) -> list[Table]:
        """The tables of an array of tables; none when the key is left out."""
        self._asked.add(key)
        found = self._values.get(key, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            self.problem("P005", "must be an array of tables", f"write [[...{key}]]", key)
            return []
        return [Table(item, (*self.path, key, index), self.report) for index, item in enumerate(found)]

    def table(self, key: str) -> Table | None:
        """A table below this one; ``None`` when it is left out."""
        self._asked.add(key)
        if key not in self._values:
            return None
        found = self._values[key]
        if not isinstance(found, dict):
            self.problem("P005", "must be a table", f"write [{key}] or {key} = {{ ... }}", key)
            return None
        return Table(found, (*self.path, key), self.report)

    def has_table(self, key: str) -> bool:
        """Whether the key's value is a table: some keys may be text or a table."""
        return isinstance(self._values.get(key), dict)

    def named_tables(self, key: str) -> dict[str, Table]:
        """The tables ``[key.NAME]`` by name."""
        parent = self.table(key)
        if parent is None:
            return {}
        found = {name: parent.table(name) for name in parent._values}
        return {name: table for name, table in found.items() if table is not None}

    def problem(self, code: str, message: str, hint: str = "", key: str | None = None) -> None:
        """Report a problem of this table, or of one of its keys."""
        self.report.add(self.path if key is None else (*self.path, key), code, message, hint)

    def close(self, elsewhere: Mapping[str, str] | None = None) -> None:
        """Report every key that nobody asked for. ``elsewhere``: keys known in other tables, and where they belong."""
        for key in self._values:
            if key in self._asked:
                continue
            if elsewhere and key in elsewhere:
                self.problem("P022", f"does not belong here: {elsewhere[key]}", "remove it", key)
            else:
                hint = did_you_mean(key, self._asked - set(self._values)) or did_you_mean(key, self._asked)
                self.problem("P003", f"unknown key {quote(key)}", hint, key)
