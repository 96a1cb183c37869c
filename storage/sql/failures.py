"""Errors of databases, told without their data.

A driver's message may quote a row ("Key (email)=(…) already exists"), a value or an address. None of it leaves this
package: what goes on is a cause from a short list, the store's name and a hint. The original is cut off with ``from None``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import psycopg
import pymysql
import sqlalchemy as sa

from retention.errors import StoreUnavailable


class StoreRefused(StoreUnavailable):
    """The database refuses the statement itself (a right, a column, a trigger): asking again changes nothing."""

    retryable: ClassVar[bool] = False


BUSY = "another transaction holds a lock"
GONE = "the connection broke"
RIGHTS = "the database account lacks a right"
SHAPE = "a table or column is not there"
FOREIGN = "a foreign key forbids it"
OTHER = "the database reported an error"

_HINTS = {
    BUSY: "nothing was changed; it is tried again later",
    GONE: "see whether the database server runs and can be reached",
    RIGHTS: "grant what docs/stores-databases.md lists",
    SHAPE: "run `retention check`",
    FOREIGN: "run `retention check`: a table that refers to this one is not declared",
    OTHER: "see the database server's own log; run `retention doctor`",
}
_SQLSTATES = {
    "55P03": BUSY, "40P01": BUSY, "40001": BUSY, "57014": BUSY, "25P03": GONE,
    "42501": RIGHTS, "42P01": SHAPE, "42703": SHAPE, "3F000": SHAPE, "23503": FOREIGN, "23001": FOREIGN,
}  # fmt: skip
_ERRNOS = {
    1205: BUSY, 1213: BUSY, 1020: BUSY, 3572: BUSY, 1969: BUSY, 2006: GONE, 2013: GONE, 2003: GONE, 1927: GONE, 1053: GONE,
    1044: RIGHTS, 1142: RIGHTS, 1143: RIGHTS, 1227: RIGHTS, 1045: RIGHTS, 1146: SHAPE, 1054: SHAPE, 1049: SHAPE,
    1451: FOREIGN, 1217: FOREIGN,
}  # fmt: skip


def cause(error: Exception) -> str:
    """Which of the known causes it is."""
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return GONE
    if isinstance(error, sa.exc.TimeoutError):
        return BUSY
    driver = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(driver, psycopg.Error):
        state = driver.sqlstate
        if state is None or state[:2] in {"08", "57"}:
            return _SQLSTATES.get(state or "", GONE)
        return _SQLSTATES.get(state, OTHER)
    if isinstance(driver, pymysql.Error):
        return _ERRNOS.get(driver.args[0] if driver.args else 0, GONE if not driver.args else OTHER)
    return _sqlite_cause(str(driver))


def _sqlite_cause(told: str) -> str:
    for words, found in (
        ("locked", BUSY), ("busy", BUSY), ("unable to open", GONE), ("no such", SHAPE), ("readonly", RIGHTS),
        ("FOREIGN KEY", FOREIGN),
    ):  # fmt: skip
        if words in told:
            return found
    return OTHER


def unavailable(store: str, doing: str, error: Exception) -> StoreUnavailable:
    """Our error for a driver's. Raise it ``from None``."""
    found = cause(error)
    kind = StoreUnavailable if found in {BUSY, GONE} else StoreRefused
    return kind(f"store {store}: {doing}: {found}", _HINTS[found])


CAUGHT = (
    sa.exc.SQLAlchemyError,
    psycopg.Error,
    pymysql.Error,
    sqlite3.Error,
    UnicodeError,
    OverflowError,
    OSError,
)
"""Drivers also raise plain errors for values that they cannot carry; those quote the value."""


@contextmanager
def telling(store: str, doing: str) -> Iterator[None]:
    """Turn every error of SQLAlchemy or a driver into ours."""
    try:
        yield
    except CAUGHT as error:
        raise unavailable(store, doing, error) from None
