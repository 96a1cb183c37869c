"""The residual sweep: are people whose records were destroyed still somewhere? Without ever storing who they were.

Of each card number or address only 64 bits of a keyed digest are kept (HMAC-SHA-256, the key is in the state folder and in no
backup of the ledger), and its shape, such as *14 digits, the first a 2*, so that only words of such a shape are digested. A chance hit needs 2⁶⁴ words
for each mark: with a million marks and a billion words once in eighteen thousand sweeps.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import re2  # type: ignore[import-untyped]

from retention.errors import Unavailable
from storage.spool import create_private

KEY_BYTES = 32
MARK_BYTES = 8
SHORTEST, LONGEST = 5, 64
"""Characters: shorter values are found everywhere by chance, and are not remembered; nor is anything of several words."""
_OPTIONS = re2.Options()
_OPTIONS.encoding = re2.Options.Encoding.LATIN1


class Known:
    """The marks of one site, in a folder of its own. Add with `remember`, ask with `seen`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._marks: frozenset[str] | None = None
        self._shapes: frozenset[str] = frozenset()

    def remember(self, values: Iterable[str]) -> int:
        """Keep the marks of these values. Returns how many are new. Raises `Unavailable`."""
        self._load()
        assert self._marks is not None
        plain = {
            value for value in map(_plain, values) if SHORTEST <= len(value) <= LONGEST and " " not in value
        }
        marks = {self._mark(value) for value in plain} - self._marks
        if marks:
            self._marks |= marks
            self._shapes |= {_shape(value) for value in plain}
            self.__dict__.pop("_patterns", None)
            whole = {"marks": sorted(self._marks), "shapes": sorted(self._shapes)}
            self._write("known.json", json.dumps(whole).encode())
        return len(marks)

    @property
    def size(self) -> int:
        self._load()
        return len(self._marks or ())

    def seen(self, block: bytes) -> frozenset[str]:
        """The marks of known values in a block of text."""
        self._load()
        if not self._marks:
            return frozenset()
        words = {word for pattern in self._patterns for word in pattern.findall(block)}
        return self._marks.intersection([self._mark(word.decode("latin-1").lower()) for word in words])

    @cached_property
    def _patterns(self) -> Sequence[Any]:
        """One pattern per kind of shape: only words that may be known are digested."""
        lengths: dict[str, list[int]] = {}
        for shape in self._shapes:
            lengths.setdefault(shape[0], []).append(int(shape.partition(":")[0][1:]))
        texts = []
        digits = sorted(shape[1:].partition(":")[::2] for shape in self._shapes if shape[0] == "d")
        if digits:
            texts.append("|".join(f"{first}[0-9]{{{int(length) - 1}}}" for length, first in digits))
        if "w" in lengths:
            texts.append(
                "|".join(
                    f"[A-Za-z0-9][A-Za-z0-9_.+-]{{{length - 2}}}[A-Za-z0-9]"
                    for length in sorted(lengths["w"])
                )
            )
        if "e" in lengths:
            texts.append("[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9-]{1,63}(?:[.][A-Za-z0-9-]{1,63})+")
        return [re2.compile(rf"\b(?:{text})\b".encode(), _OPTIONS) for text in texts]

    def _mark(self, value: str) -> str:
        return hmac.digest(self._key, value.encode(), "sha256")[:MARK_BYTES].hex()

    def _load(self) -> None:
        if self._marks is not None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not (self._folder / "key").exists():
                self._write("key", secrets.token_bytes(KEY_BYTES))
            self._key = (self._folder / "key").read_bytes()
            path = self._folder / "known.json"
            whole = json.loads(path.read_bytes()) if path.exists() else {"marks": [], "shapes": []}
            self._marks, self._shapes = frozenset(whole["marks"]), frozenset(whole["shapes"])
        except (OSError, ValueError, KeyError, TypeError):
            raise Unavailable(
                "the marks of known persons cannot be read", "see the folder known in the state folder"
            ) from None

    def _write(self, name: str, content: bytes) -> None:
        aside = self._folder / f"{name}.partial"
        try:
            aside.unlink(missing_ok=True)
            with create_private(aside) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._folder / name)
        except OSError as error:
            raise Unavailable(
                f"the marks of known persons cannot be written: {os.strerror(error.errno or 0)}",
                "see the state folder",
            ) from None


def _plain(value: str) -> str:
    return value.strip().lower()


def _shape(value: str) -> str:
    """``d14:2``: fourteen digits, the first a 2, as of every card of a library; ``w7``: a word of seven; ``e``: an address."""
    if value.isdigit() and value.isascii():
        return f"d{len(value)}:{value[0]}"
    return f"e{len(value)}" if "@" in value else f"w{len(value)}"
