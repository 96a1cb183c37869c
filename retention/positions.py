"""On which line of a TOML file each key stands.

tomllib gives values without positions; the tree of tree-sitter gives positions without values. A path is the way through
the parsed document: names for keys, numbers for places in an array. Nothing here raises: an unknown path has the line of its
nearest parent, and a file that does not parse has no positions at all.
"""

from __future__ import annotations

import tomllib
from collections import Counter

import tree_sitter
import tree_sitter_toml

Path = tuple[str | int, ...]

_LANGUAGE = tree_sitter.Language(tree_sitter_toml.language())
_KEYS = ("bare_key", "quoted_key", "dotted_key")


def positions(text: str) -> dict[Path, int]:
    """The line, counted from 1, of every key, table and array item of a TOML text that tomllib accepts."""
    tree = tree_sitter.Parser(_LANGUAGE).parse(text.encode())
    lines: dict[Path, int] = {}
    counts: Counter[Path] = Counter()
    for node in tree.root_node.named_children:
        if node.type == "pair":
            _pair(node, (), lines)
        elif node.type in {"table", "table_array_element"}:
            path = _table(node, counts)
            lines.setdefault(path, _line(node))
            for pair in node.named_children:
                if pair.type == "pair":
                    _pair(pair, path, lines)
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a path or of its nearest known parent; 1 when there is none."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


def _table(node: tree_sitter.Node, counts: Counter[Path]) -> Path:
    """The path of a table header; a name on its way that is an array of tables means the last table of that array."""
    keys = next((_names(child) for child in node.named_children if child.type in _KEYS), ())
    path: Path = ()
    for position, key in enumerate(keys):
        path = (*path, key)
        if position == len(keys) - 1 and node.type == "table_array_element":
            counts[path] += 1
        if counts[path]:
            path = (*path, counts[path] - 1)
    return path


def _pair(node: tree_sitter.Node, parent: Path, lines: dict[Path, int]) -> None:
    keys, *values = node.named_children
    path = parent
    for name in _names(keys):
        path = (*path, name)
        lines.setdefault(path, _line(node))
    for value in values:
        _value(value, path, lines)


def _value(node: tree_sitter.Node, path: Path, lines: dict[Path, int]) -> None:
    if node.type == "inline_table":
        for pair in node.named_children:
            if pair.type == "pair":
                _pair(pair, path, lines)
    elif node.type == "array":
        items = [item for item in node.named_children if item.type != "comment"]
        for index, item in enumerate(items):
            lines.setdefault((*path, index), _line(item))
            _value(item, (*path, index), lines)


def _names(node: tree_sitter.Node) -> tuple[str, ...]:
    if node.type == "dotted_key":
        return tuple(name for child in node.named_children if child.type in _KEYS for name in _names(child))
    text = (node.text or b"").decode()
    if node.type == "quoted_key":
        return (str(tomllib.loads(f"key = {text}")["key"]),)
    return (text,)


def _line(node: tree_sitter.Node) -> int:
    return node.start_point.row + 1
