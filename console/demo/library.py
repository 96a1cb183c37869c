"""Fills the demo's database: patrons, loans, bills, notices, histories, sign-ins, requests, bookings. The same every time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from random import Random

from console.demo.invented import FAMILY, GIVEN, HELD_PATRON, SEED, STREETS, TITLES, TODAY, Size
from console.demo.tables import DDL

Row = tuple[object, ...]

LAPSED_EVERY = 7
"""Every seventh patron's card has expired."""


def build_database(path: Path, size: Size) -> Mapping[str, int]:
    """Make the database. Returns the number of rows of each table."""
    making = _Making(size)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "pragma journal_mode = wal; pragma synchronous = off; pragma foreign_keys = on;" + DDL
        )
        with connection:
            for table, rows in making.tables():
                columns = len(connection.execute(f"pragma table_info({table})").fetchall())
                connection.executemany(_insert(table, columns), rows)
        return {
            table: connection.execute(f"select count(*) from {table}").fetchone()[0]  # noqa: S608  # names from our own DDL
            for table in making.filled
        }


def _insert(table: str, columns: int) -> str:
    return f"insert into {table} values ({', '.join('?' * columns)})"  # noqa: S608  # names from our own DDL


class _Making:
    """Makes rows, table by table, from one seed. Times are local, without a zone, as the schedule reads them."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._draw = Random(SEED).random
        self._bills: list[Row] = []
        self._balances: list[Row] = []
        self.filled: list[str] = []

    def tables(self) -> Iterator[tuple[str, Iterator[Row]]]:
        makers = {
            "actor_usr": self._patrons, "actor_card": self._cards, "actor_usr_address": self._addresses,
            "action_circulation": self._circulations, "money_grocery": self._charges,
            "money_billing": lambda: iter(self._bills), "money_materialized_billable_xact_summary": lambda: iter(self._balances),
            "action_usr_circ_history": self._history, "action_trigger_event": self._notices,
            "actor_usr_activity": self._activity, "acq_user_request": self._requests, "booking_reservation": self._bookings,
        }  # fmt: skip
        for table, make in makers.items():
            self.filled.append(table)
            yield table, make()

    # -- patrons -----------------------------------------------------------------------------------------------------

    def _patrons(self) -> Iterator[Row]:
        for number in range(1, self._size.patrons + 1):
            given, family = self._one(GIVEN), self._one(FAMILY)
            born = TODAY - timedelta(days=self._int(6 * 365, 85 * 365))
            expires = self._moment(30, 900, ahead=True)
            if self._lapsed(number):
                expires = self._moment(20, 1100)
            elif number % 11 == 0:
                expires = ""
            name = f"{given}.{family}.{number}".lower()
            yield (
                number, name, f"{name}@mail.example", given, family, born.isoformat(), self._phone(), self._int(1, 2),
                self._moment(1100, 4000), expires or None, int(self._lapsed(number) and number % 50 == 0),
            )  # fmt: skip

    def _cards(self) -> Iterator[Row]:
        for number in range(1, self._size.patrons + 1):
            yield number, number, barcode(number)

    def _addresses(self) -> Iterator[Row]:
        for number in range(1, self._size.patrons + 1):
            street = f"{self._int(1, 2400)} {self._one(STREETS)}"
            yield number, number, street, "Cedar Valley", "CO", f"8{self._int(1000, 1699)}"

    # -- loans and money -----------------------------------------------------------------------------------------------

    def _circulations(self) -> Iterator[Row]:
        for number in range(1, self._size.circulations + 1):
            patron = HELD_PATRON if number % (self._size.circulations // 40) == 0 else self._somebody()
            started = self._date(0, 500)
            due = started + timedelta(days=21)
            kind = self._draw()
            if kind < 0.07:  # still out
                started = TODAY - timedelta(days=self._int(1, 20))
                yield self._loan(number, patron, started, started + timedelta(days=21), back=None, stop=None)
            elif kind < 0.10:  # came back late, money still owed: open
                back = due + timedelta(days=self._int(10, 60))
                self._owe(number, patron, back)
                yield self._loan(
                    number,
                    patron,
                    started,
                    due,
                    back=back if back < TODAY else None,
                    stop="MAXFINES",
                    finished=False,
                )
            else:
                back = min(TODAY - timedelta(days=1), started + timedelta(days=self._int(2, 40)))
                claimed = kind > 0.985
                if self._draw() < 0.12:  # a bill, paid with the return
                    self._bill(number, back, "Overdue materials")
                if kind > 0.975 and not claimed:  # finished, and a bill came after it: the desk has to look
                    self._owe(number, patron, back)
                yield self._loan(
                    number, patron, started, due, back=back, stop="CLAIMSRETURNED" if claimed else "CHECKIN"
                )

    def _loan(
        self,
        number: int,
        patron: int,
        started: date,
        due: date,
        *,
        back: date | None,
        stop: str | None,
        finished: bool = True,
    ) -> Row:
        returned = None if back is None else self._at(back)
        return (
            number, patron, self._int(1, 60_000), self._int(1, 2), self._at(started), f"{due} 23:59:59", returned,
            returned if finished else None, stop,
        )  # fmt: skip

    def _charges(self) -> Iterator[Row]:
        first = self._size.circulations + 10_000
        for number in range(first, first + self._size.charges):
            patron = HELD_PATRON if number % (self._size.charges // 20) == 0 else self._somebody()
            asked = self._date(5, 2400)
            note = self._one(("Lost card", "Printing", "Room deposit", "Damaged DVD case"))
            self._bill(number, asked, note)
            finished = self._at(min(TODAY - timedelta(days=1), asked + timedelta(days=self._int(0, 30))))
            if patron != HELD_PATRON and self._draw() < 0.04:  # settled, and a returned check came after it
                self._balances.append((number, patron, 5))
            yield number, patron, self._int(1, 2), self._at(asked), finished, note

    def _bill(self, xact: int, on: date, note: str) -> None:
        self._bills.append((len(self._bills) + 1, xact, self._at(on), self._int(1, 60) / 4, note))

    def _owe(self, xact: int, patron: int, on: date) -> None:
        self._bill(xact, min(on, TODAY), "Lost or overdue materials")
        self._balances.append((xact, patron, self._int(4, 160) / 4))

    # -- everything else -----------------------------------------------------------------------------------------------

    def _history(self) -> Iterator[Row]:
        for number in range(1, self._size.history + 1):
            patron = HELD_PATRON if number % (self._size.history // 12) == 0 else self._reader()
            started = self._date(1, 2600)
            back = min(TODAY - timedelta(days=1), started + timedelta(days=self._int(2, 40)))
            # One answer per patron: most asked for it, some opted out, of a few nobody wrote it down.
            answer = None if patron % 23 == 0 else int(patron % 4 != 3)
            yield (
                number,
                patron,
                self._int(1, 60_000),
                self._at(started),
                f"{started + timedelta(21)} 23:59:59",
                self._at(back),
                answer,
            )

    def _notices(self) -> Iterator[Row]:
        for number in range(1, self._size.notices + 1):
            patron = HELD_PATRON if number % (self._size.notices // 15) == 0 else self._somebody()
            title = self._one(TITLES)
            pending = number % 200 == 0
            kind = self._one(("7 day overdue", "3 day courtesy", "hold ready"))
            sent = None if pending else self._moment(0, 300)
            yield (
                number,
                patron,
                kind,
                "pending" if pending else "complete",
                sent,
                f"“{title}” is waiting for your attention.",
            )

    def _activity(self) -> Iterator[Row]:
        for number in range(1, self._size.activity + 1):
            patron = HELD_PATRON if number % (self._size.activity // 10) == 0 else self._somebody()
            address = f"10.20.{self._int(0, 9)}.{self._int(2, 250)}"
            yield (
                number,
                patron,
                self._one(("opac", "ezproxy", "public computer")),
                self._moment(0, 120),
                address,
            )

    def _requests(self) -> Iterator[Row]:
        for number in range(1, self._size.requests + 1):
            patron = HELD_PATRON if number % (self._size.requests // 3) == 0 else self._somebody()
            yield (
                number,
                patron,
                self._int(1, 2),
                self._moment(1, 500),
                self._one(TITLES),
                "please call, not mail",
            )

    def _bookings(self) -> Iterator[Row]:
        for number in range(1, self._size.bookings + 1):
            on = self._date(-30, 400)
            hour = self._int(9, 18)
            yield (
                number,
                self._somebody(),
                self._int(1, 2),
                f"{on} {hour:02}:00:00",
                f"{on} {hour + 1:02}:30:00",
                "chess club",
            )

    # -- small things --------------------------------------------------------------------------------------------------

    def _lapsed(self, number: int) -> bool:
        return number % LAPSED_EVERY == 0

    def _somebody(self) -> int:
        """A patron; those whose card lapsed come up rarely: most of them left nothing else behind."""
        number = self._int(1, self._size.patrons)
        return (
            number + 1
            if self._lapsed(number) and number < self._size.patrons and self._draw() < 0.98
            else number
        )

    def _reader(self) -> int:
        """A patron with a reading history: one of a third."""
        number = self._somebody()
        return number - number % 3 + 1 if number > 3 else 1

    def _int(self, least: int, most: int) -> int:
        return least + int(self._draw() * (most - least + 1))

    def _one(self, choices: Sequence[str]) -> str:
        return choices[int(self._draw() * len(choices))]

    def _date(self, least: int, most: int) -> date:
        return TODAY - timedelta(days=self._int(least, most))

    def _at(self, on: date) -> str:
        second = int(self._draw() * 36_000)
        return f"{on} {9 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"

    def _moment(self, least: int, most: int, *, ahead: bool = False) -> str:
        days = self._int(least, most)
        return self._at(TODAY + timedelta(days=days) if ahead else TODAY - timedelta(days=days))

    def _phone(self) -> str:
        return f"970-555-{self._int(100, 199):04}"


def barcode(number: int) -> str:
    """The card number of a patron."""
    return f"2981000{number:07}"
