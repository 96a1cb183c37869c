"""Invented files as libraries have them: half of them full of people, half of them only looking like it. Reproducible by seed.

Every value is invented; the shapes are those of real exports: collection agencies, vendors, spreadsheets, server logs, catalogues.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from storage.scanning.patterns import passes_luhn

FIRST = "Ada Bela Cleo Dora Emil Fay Gus Hana Ivo Jun Kai Lea Mona Nils Ola Pia Quin Rosa Sami Tara".split()  # noqa: SIM905
LAST = "Abel Brook Castle Dunn Ellis Frost Garner Hale Ives Jansen Keller Lund Moss Nash Orr Pike Quill Reed Stone Vance".split()  # noqa: SIM905
STREETS = "Maple Street|N Oak Ave|River Road|Cedar Lane|W 4th St|Sunset Blvd|Mill Ct".split("|")  # noqa: SIM905
TITLES = [
    "84, Charing Cross Road",
    "1984",
    "The house at 12 Rose Lane",
    "Fahrenheit 451",
    "221 Baker Street mysteries",
    "Catch-22",
    "The 39 steps",
    "Slaughterhouse-five",
    "A tale of 2 cities",
    "One hundred years of solitude",
    "2001: a space odyssey",
]
Write = Callable[[Path, random.Random], None]


def barcode(chance: random.Random, first: str = "2") -> str:
    body = first + "1234" + "".join(chance.choice("0123456789") for _ in range(8))
    return next(body + digit for digit in "0123456789" if passes_luhn(body + digit))


def phone(chance: random.Random, form: str = "({}) {}-{}") -> str:
    return form.format(
        chance.choice(("503", "541", "971")), f"{chance.randrange(220, 999)}", f"{chance.randrange(10000):04}"
    )


def person(chance: random.Random) -> dict[str, str]:
    first, last = chance.choice(FIRST), chance.choice(LAST)
    born = date(1935, 1, 1) + timedelta(days=chance.randrange(28_000))
    return {
        "cardnumber": barcode(chance), "surname": last, "firstname": first,
        "address": f"{chance.randrange(1, 9999)} {chance.choice(STREETS)}", "city": "Salem", "zip": f"97{chance.randrange(100, 999)}",
        "phone": phone(chance), "email": f"{first}.{last}{chance.randrange(99)}@example{chance.randrange(9)}.org".lower(),
        "dateofbirth": born.isoformat(),
    }  # fmt: skip


def rows(path: Path, header: list[str], lines: list[list[Any]], **dialect: Any) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, **dialect).writerows([header, *lines] if header else lines)
    path.write_text(written.getvalue(), encoding=dialect.pop("encoding", "utf-8"))


def book(path: Path, header: list[str], lines: list[list[Any]]) -> None:
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    for line in (header, *lines):
        sheet.append(line)
    made.save(path)


def moments(chance: random.Random, count: int) -> Iterator[datetime]:
    for _ in range(count):
        yield datetime(2026, 1, 1) + timedelta(seconds=chance.randrange(15_000_000))  # noqa: DTZ001


# Files full of people


def _agency(path: Path, chance: random.Random) -> None:
    people = [person(chance) for _ in range(60)]
    rows(path, list(people[0]), [list(one.values()) for one in people])


def _headerless(path: Path, chance: random.Random) -> None:
    rows(path, [], [list(person(chance).values()) for _ in range(40)], delimiter="|")


def _mailing_list(path: Path, chance: random.Random) -> None:
    rows(
        path,
        ["E-Mail Address", "Branch"],
        [[person(chance)["email"], "main"] for _ in range(25)],
        delimiter=";",
    )


def _barcodes_only(path: Path, chance: random.Random) -> None:
    path.write_text("\n".join(barcode(chance) for _ in range(30)))


def _rare(path: Path, chance: random.Random) -> None:
    """Two in a hundred lines of an item list name a borrower."""
    lines = [
        [barcode(chance, "3"), chance.choice(TITLES), barcode(chance) if n % 50 == 7 else ""]
        for n in range(500)
    ]
    rows(path, ["item", "title", "note"], lines)


def _at_the_end(path: Path, chance: random.Random) -> None:
    """Eight megabytes of items, then two hundred people."""
    filler = "".join(
        f"3{n:013},The great book of things and other matters of interest,FIC {n}\n" for n in range(110_000)
    )
    tail = "".join(",".join(person(chance).values()) + "\n" for _ in range(200))
    path.write_text(filler + tail)


def _log_of_sign_ins(path: Path, chance: random.Random) -> None:
    path.write_text("".join(
        f"{at:%b %d %H:%M:%S} kiosk3 auth[{chance.randrange(9999)}]: guest session opened for {barcode(chance)}\n"
        for at in moments(chance, 200)
    ))  # fmt: skip


def _log_of_mail(path: Path, chance: random.Random) -> None:
    path.write_text(
        "".join(
            f"{at.isoformat()} notice sent to={person(chance)['email']} status=ok\n"
            for at in moments(chance, 80)
        )
    )


def _json_lines(path: Path, chance: random.Random) -> None:
    path.write_text("".join(json.dumps(person(chance)) + "\n" for _ in range(50)))


def _spreadsheet(path: Path, chance: random.Random) -> None:
    lines: list[list[Any]] = [
        [float(barcode(chance)), one["surname"], one["dateofbirth"]]
        for one in (person(chance) for _ in range(40))
    ]
    book(path, ["Library Card", "Last Name", "DOB"], lines)


def _rounded(path: Path, chance: random.Random) -> None:
    rows(
        path, ["Patron Barcode", "Last Name"], [["2.12340E+13", person(chance)["surname"]] for _ in range(40)]
    )


def _parquet(path: Path, chance: random.Random) -> None:
    people = [person(chance) for _ in range(50)]
    pq.write_table(pa.table({name: [one[name] for one in people] for name in ("cardnumber", "email")}), path)


def _wide(path: Path, chance: random.Random) -> None:
    people = [person(chance) for _ in range(40)]
    text = "\r\n".join(["\t".join(people[0]), *("\t".join(one.values()) for one in people)])
    path.write_text(text, encoding="utf-16")


def _latin(path: Path, chance: random.Random) -> None:
    people = [person(chance) | {"surname": "Müller"} for _ in range(40)]
    rows(path, list(people[0]), [list(one.values()) for one in people], delimiter=";")
    path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))


def _call_list(path: Path, chance: random.Random) -> None:
    rows(
        path,
        ["name", "day phone"],
        [[f"{chance.choice(FIRST)} {chance.choice(LAST)}", phone(chance, "{}-{}-{}")] for _ in range(30)],
    )


def _ten_digits(path: Path, chance: random.Random) -> None:
    lines = [
        [one["surname"], phone(chance, "{}{}{}"), one["address"]]
        for one in (person(chance) for _ in range(30))
    ]
    rows(path, ["Last Name", "Phone", "Street Address"], lines)


def _reading_history(path: Path, chance: random.Random) -> None:
    lines = [
        [f"{n}", str(chance.randrange(10**5)), chance.choice(LAST), chance.choice(TITLES)] for n in range(100)
    ]
    rows(path, ["id", "borrowernumber", "surname", "title"], lines)


# Files that only look like it


def _items(path: Path, chance: random.Random) -> None:
    lines = [[barcode(chance, "3"), chance.choice(TITLES), f"{chance.choice(LAST)}, {chance.choice(FIRST)}", "FIC", f"{at:%Y-%m-%d}"]
             for at in moments(chance, 400)]  # fmt: skip
    rows(path, ["barcode", "title", "author", "call number", "dateaccessioned"], lines)


def _bibs(path: Path, chance: random.Random) -> None:
    lines = [[n, f"978-0-{chance.randrange(100, 999)}-{chance.randrange(10000, 99999)}-{n % 10}", chance.choice(TITLES),
              f"{chance.choice(FIRST)} {chance.choice(LAST)}", chance.randrange(1890, 2026), f"ocm{chance.randrange(10**8):08}"]
             for n in range(400)]  # fmt: skip
    rows(path, ["biblionumber", "isbn", "title", "author", "copyrightdate", "oclc"], lines)


def _bib_numbers(path: Path, chance: random.Random) -> None:
    """Ten digits each: one in five could be a telephone number."""
    path.write_text("\n".join(str(chance.randrange(2 * 10**9, 10**10)) for _ in range(3000)))


def _catalogue_times(path: Path, chance: random.Random) -> None:
    path.write_text("".join(f"=005  {at:%Y%m%d%H%M%S}.0\n=100  1\\$a{chance.choice(LAST)}, {chance.choice(FIRST)},$d1901-1980\n"
                            for at in moments(chance, 2000)))  # fmt: skip


def _random_numbers(path: Path, chance: random.Random) -> None:
    """Fourteen digits, a fifth of them begin with 2, one in ten of those passes a check digit."""
    path.write_text("\n".join(f"{chance.randrange(10**13, 10**14)}" for _ in range(3000)))


def _hashes(path: Path, chance: random.Random) -> None:
    path.write_text(
        "".join(f"{hashlib.sha256(chance.randbytes(8)).hexdigest()}  file-{n}.tif\n" for n in range(1000))
    )


def _web_log(path: Path, chance: random.Random) -> None:
    path.write_text("".join(
        f"10.{chance.randrange(256)}.0.{chance.randrange(256)} - - [{at:%d/%b/%Y:%H:%M:%S} -0700] "
        f'"GET /cgi-bin/koha/opac-detail.pl?biblionumber={chance.randrange(10**6)} HTTP/1.1" 200 {chance.randrange(10**5)} "-" '
        f'"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"\n'
        for at in moments(chance, 1500)
    ))  # fmt: skip


def _program_log(path: Path, chance: random.Random) -> None:
    path.write_text("".join(
        f"{at.isoformat()}Z worker-{n % 7} INFO job {chance.randrange(10**12)} took {chance.random():.6f}s "
        f"host=db-1.internal user=postgres@localhost trace={chance.randbytes(8).hex()}\n"
        for n, at in enumerate(moments(chance, 1500))
    ))  # fmt: skip


def _mail_log(path: Path, chance: random.Random) -> None:
    path.write_text("".join(
        f"{at:%b %d %H:%M:%S} mx postfix/smtp[{n}]: {chance.randbytes(5).hex().upper()}: "
        f"message-id=<{at:%Y%m%d%H%M%S}.{chance.randrange(10**9)}@mx1.library.example> from=<noreply@library.example>\n"
        for n, at in enumerate(moments(chance, 500))
    ))  # fmt: skip


def _statistics(path: Path, chance: random.Random) -> None:
    lines = [
        ["main", f"{2026 - n % 3}-{n % 12 + 1:02}", chance.randrange(9999), chance.randrange(999)]
        for n in range(100)
    ]
    rows(path, ["branch", "month", "checkouts", "new patrons"], lines)


def _orders(path: Path, chance: random.Random) -> None:
    lines: list[list[Any]] = [[f"PO-{n:06}", chance.choice(TITLES), 12.5, "orders@vendor.example", f"{at:%m/%d/%Y}"]
                              for n, at in enumerate(moments(chance, 80))]  # fmt: skip
    book(path, ["Order", "Title", "Price", "Contact", "Ordered"], lines)


def _branches(path: Path, chance: random.Random) -> None:
    rows(
        path,
        ["branchcode", "branchname", "opened"],
        [["MAIN", "Main Library", "1932-05-01"], ["EAST", "Eastside", "1988-10-01"]],
    )


def _holdings(path: Path, chance: random.Random) -> None:
    count = 300
    pq.write_table(pa.table({
        "item_barcode": [barcode(chance, "3") for _ in range(count)], "itemnumber": list(range(count)),
        "last_borrowed": [f"{at:%Y-%m-%d %H:%M:%S}" for at in moments(chance, count)],
    }), path)  # fmt: skip


def _styles(path: Path, chance: random.Random) -> None:
    path.write_text(
        "@media print { .icon { background: url(icon@2x.png) } }\n/* v1.2.3, jquery@3.7.1, git@github.example:x/y.git */\n"
        * 50
    )


def _places(path: Path, chance: random.Random) -> None:
    lines = [
        [chance.choice(TITLES), f"{chance.randrange(1, 99)} Rose Lane press", chance.randrange(1900, 2026)]
        for _ in range(100)
    ]
    rows(path, ["title", "publisher", "year"], lines)


PEOPLE: dict[str, Write] = {
    "ums-submission.csv": _agency, "no-header.txt": _headerless, "newsletter.csv": _mailing_list, "cards.txt": _barcodes_only,
    "weeding-notes.csv": _rare, "shelf-dump.csv": _at_the_end, "kiosk.log": _log_of_sign_ins, "notices.log": _log_of_mail,
    "patrons.jsonl": _json_lines, "cards.xlsx": _spreadsheet, "rounded.csv": _rounded, "vendor.parquet": _parquet, "wide.txt": _wide,
    "latin.csv": _latin, "calls.csv": _call_list, "members.csv": _ten_digits, "history.csv": _reading_history,
}  # fmt: skip
OTHERS: dict[str, Write] = {
    "items.csv": _items, "bibs.csv": _bibs, "bibnumbers.txt": _bib_numbers, "marc.mrk": _catalogue_times, "numbers.txt": _random_numbers,
    "SHA256SUMS": _hashes, "access.log": _web_log, "worker.log": _program_log, "mail.log": _mail_log, "statistics.csv": _statistics,
    "orders.xlsx": _orders, "branches.csv": _branches, "holdings.parquet": _holdings, "styles.css": _styles, "publishers.csv": _places,
}  # fmt: skip


def build(folder: Path, seed: int) -> tuple[set[str], set[str]]:
    """Write both halves. Returns the names of either."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in (PEOPLE | OTHERS).items():
        write(folder / name, random.Random(f"{seed} {name}"))
    return set(PEOPLE), set(OTHERS)
