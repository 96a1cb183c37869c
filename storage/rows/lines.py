"""One row of a manifest: ``["row", path, device, key, digest]`` in JSON.

``path`` as in `storage.files.lines`; ``key``: the row's key columns joined by
``|``; ``digest``: of its whole content. A row is known by content and not by place: others above it may have gone meanwhile.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from retention.errors import VerificationFailed
from storage.files.lines import from_text, to_text

MARK = "row"


class RowLine(NamedTuple):
    path: str
    device: int
    key: str
    digest: str

    @property
    def reference(self) -> str:
        return reference(self.path, self.key)


def reference(path: str, key: str) -> str:
    """A row as people name it: ``path#key``."""
    return f"{to_text(path)}#{key}"


def is_row(line: bytes) -> bool:
    """Whether a line of a manifest is about a row: behind the name of a file or object follows a number."""
    return line.startswith(b'["row","')


def write_row(line: RowLine) -> bytes:
    """The line with its newline."""
    whole = [MARK, to_text(line.path), *line[1:]]
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read_row(text: bytes) -> RowLine:
    """Raises `VerificationFailed`, without quoting anything, for a line that no survey wrote."""
    try:
        mark, path, device, key, digest = json.loads(text)
        if mark != MARK or not (type(device) is int and type(key) is type(digest) is str):
            raise TypeError
        return RowLine(from_text(path), device, key, digest)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise VerificationFailed("a line of the manifest cannot be read", "survey again") from None
