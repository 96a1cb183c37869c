"""Sealed columns for a library's own application: `SealedText`, `SealedBytes` and `BlindIndex` as SQLAlchemy types.

A value that is written must have been sealed for somebody (`Cabinet.seal`), since the key depends on whom it is about and on when its
period began; a plain value is refused rather than stored. A value that is read comes back opened, as `DESTROYED` when its key is gone,
and as it stands when it was never sealed (see the in-place sealing of `retention seal`). See docs/sealing.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import sqlalchemy as sa

from retention.errors import KeyDestroyed, UsageError
from storage.sealed.columns_cabinet import About, Blind, Cabinet
from storage.sealed.columns_token import from_bytes, from_text, to_bytes, to_text

__all__ = ["DESTROYED", "About", "Blind", "BlindIndex", "Cabinet", "Destroyed", "Sealed", "SealedBytes", "SealedText", "matching", "sealed_bytes", "sealed_text"]  # fmt: skip

V = TypeVar("V", str, bytes)
CabinetOf = Callable[[], Cabinet]
"""The cabinet of the table, asked for when a value is read: tables are declared before an application is configured."""

BLIND_LENGTH = 64


class Destroyed:
    """Stands for a value whose key was destroyed. False, so that ``if row.note:`` does what is meant."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "DESTROYED"


DESTROYED: Final = Destroyed()


@dataclass(frozen=True, slots=True)
class Sealed(Generic[V]):
    """A value ready to be written: what stands in the column. Made by `sealed_text` and `sealed_bytes`."""

    written: V


def sealed_text(
    cabinet: Cabinet, text: str, about: About, column: str, connection: sa.Connection
) -> Sealed[str]:
    """Seal a text for a `SealedText` column. Raises `KeyStoreUnavailable`, `KeyUnreadable`."""
    return Sealed(to_text(cabinet.seal(text.encode(), about, column, connection)))


def sealed_bytes(
    cabinet: Cabinet, raw: bytes, about: About, column: str, connection: sa.Connection
) -> Sealed[bytes]:
    """Seal bytes for a `SealedBytes` column. Raises `KeyStoreUnavailable`, `KeyUnreadable`."""
    return Sealed(to_bytes(cabinet.seal(raw, about, column, connection)))


def matching(
    column: sa.ColumnElement[Any] | Any, cabinet: Cabinet, value: str, of: str, connection: sa.Connection
) -> sa.ColumnElement[bool]:
    """The condition that a blind-index ``column`` was written for this value of the column ``of``."""
    found: sa.ColumnElement[bool] = column.in_(cabinet.blinds(value, of, connection))
    return found


class SealedText(sa.types.TypeDecorator[Any]):
    """A text column whose values are sealed. Takes `Sealed` or ``None``; gives ``str``, `DESTROYED` or ``None``.

    Reading raises `KeyUnreadable`, `SealedUnreadable`, `KeyStoreUnavailable`.
    """

    impl = sa.Text
    cache_ok = False

    def __init__(self, cabinet: CabinetOf, column: str) -> None:
        super().__init__()
        self._cabinet = cabinet
        self._column = column

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else _written(value, str)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> str | Destroyed | None:
        token = None if value is None else from_text(value)
        if token is None:
            return None if value is None else str(value)
        try:
            return self._cabinet().open(token, self._column).decode()
        except KeyDestroyed:
            return DESTROYED


class SealedBytes(sa.types.TypeDecorator[Any]):
    """The same for bytes: a photograph, a signature."""

    impl = sa.LargeBinary
    cache_ok = False

    def __init__(self, cabinet: CabinetOf, column: str) -> None:
        super().__init__()
        self._cabinet = cabinet
        self._column = column

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> bytes | None:
        return None if value is None else _written(value, bytes)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> bytes | Destroyed | None:
        token = None if value is None else from_bytes(bytes(value))
        if token is None:
            return None if value is None else bytes(value)
        try:
            return self._cabinet().open(token, self._column)
        except KeyDestroyed:
            return DESTROYED


class BlindIndex(sa.types.TypeDecorator[Any]):
    """A column to find sealed values by, without their standing there. Takes and gives `Blind`; see `Cabinet.blind` and `matching`.

    It tells whoever reads the table which rows of one period have equal values: use it for what is nearly unique (a card number), not
    for a yes or no.
    """

    impl = sa.String(BLIND_LENGTH)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        if value is None:
            return None
        if not isinstance(value, Blind):
            raise UsageError("a plain value was given for a blind index", "write Cabinet.blind(value, …)")
        return value.tag

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Blind | None:
        return None if value is None else Blind(value)


def _written(value: object, kind: type[V]) -> V:
    if not isinstance(value, Sealed) or not isinstance(value.written, kind):
        raise UsageError(
            "a plain value was given for a sealed column", "seal it first, with sealed_text or sealed_bytes"
        )
    return value.written
