"""How large a bench runs: in full, small (a smoke of seconds), or tiny (for a test of the bench itself)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """``name``: full, small or tiny. ``pairs``: ours and peer, so many times in turn. ``folder``: scratch, removed afterwards."""

    name: str
    pairs: int
    folder: Path

    def of(self, sizes: Mapping[str, T]) -> T:
        return sizes[self.name]
