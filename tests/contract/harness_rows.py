"""Rows inside files and objects in the contract suite: CSV and XLSX purged, Parquet anonymized, every second record in one file.

The hands behind the store's back rewrite the whole file, as a vendor's program or a person with a spreadsheet would.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Lock

import openpyxl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from retention.condition import Compare
from retention.decide import Criteria
from retention.schedule import Disposition, Rows, TreeLocation, TriggerKind
from storage.contract import Store
from storage.files.store import FileStore
from storage.s3.store import S3Store
from tests.contract.harness import ON, ZONE, HarnessFactory, Seed, StoreHarness, Supports, criteria_for
from tests.storage.s3.buckets import Bucket

NOW = datetime(ON.year, ON.month, ON.day, 18, tzinfo=UTC)
HEADER = ("Loan ID", "Card Number", "Title", "Returned", "State")
GONE = "removed"

Record = tuple[str, ...]
Write = Callable[[Path, Sequence[Record]], None]
Read = Callable[[Path], list[Record]]


def write_csv(path: Path, records: Sequence[Record]) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows([HEADER, *records])
    path.write_bytes(b"\xef\xbb\xbf" + written.getvalue().encode())


def read_csv(path: Path) -> list[Record]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def write_parquet(path: Path, records: Sequence[Record]) -> None:
    columns = list(zip(*records, strict=True)) or [()] * len(HEADER)
    table = pa.table(
        {name: pa.array(list(column), pa.string()) for name, column in zip(HEADER, columns, strict=True)}
    )
    pq.write_table(table, path, row_group_size=7)


def read_parquet(path: Path) -> list[Record]:
    table = pq.read_table(path).to_pylist()
    return [tuple(row[name] or "" for name in HEADER) for row in table]


def write_xlsx(path: Path, records: Sequence[Record]) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Loans")
    for record in [HEADER, *records]:
        sheet.append(record)
    book.save(path)


def read_xlsx(path: Path) -> list[Record]:
    """Rows with something in them: one that went leaves an empty line."""
    book = openpyxl.load_workbook(path, read_only=True)
    try:
        rows = [
            tuple(str(cell or "") for cell in row) for row in book.worksheets[0].iter_rows(values_only=True)
        ]
    finally:
        book.close()
    return [row + ("",) * (len(HEADER) - len(row)) for row in rows[1:] if any(row)]


FORMS: dict[str, tuple[Write, Read]] = {
    "csv": (write_csv, read_csv),
    "parquet": (write_parquet, read_parquet),
    "xlsx": (write_xlsx, read_xlsx),
}


class RowsHarness:
    """A location with two files of rows. What differs between a folder and a bucket is in the subclasses."""

    def __init__(self, root: Path, form: str, disposition: Disposition, seeds: Sequence[Seed]) -> None:
        self._root = root
        self._form = form
        self._disposition = disposition
        self._write, self._read = FORMS[form]
        self._seeds: dict[int, Seed] = {}
        self._lock = Lock()
        self._known: dict[Path, tuple[tuple[int, int, int], list[Record]]] = {}
        self._place.mkdir(parents=True)
        self._stores: list[Store] = []
        rows: dict[Path, list[Record]] = {}
        for seed in seeds:
            self._seeds[seed.number] = seed
            rows.setdefault(self._path(seed.number), []).append(self._record(seed))
        for path, records in rows.items():
            self._put(path, records)
        self._store = self._kept(self._open())

    @property
    def location(self) -> TreeLocation:
        purges = self._disposition is Disposition.PURGE
        return TreeLocation(
            name="loans-sent", store="exports", zone=ZONE, trigger_kind=TriggerKind.TIMESTAMP, subject="card_number",
            blocked=Compare("state", "=", "disputed"), path="out/vendor", template="loans-{any}." + self._form,
            rows=Rows(
                key=("loan_id",), trigger="returned",
                clear=() if purges else ("card_number",), replace=() if purges else (("title", GONE),),
            ),
        )  # fmt: skip

    def _open(self) -> Store:
        raise NotImplementedError

    def _contents(self, path: Path) -> list[list[Record]]:
        """What lies there, in every version."""
        raise NotImplementedError

    def _put(self, path: Path, records: Sequence[Record]) -> None:
        """Replace what lies there."""
        raise NotImplementedError

    def ruin(self) -> None:
        raise NotImplementedError

    def _kept(self, store: Store) -> Store:
        self._stores.append(store)
        return store

    @property
    def _place(self) -> Path:
        return self._root / "out/vendor"

    def _path(self, number: int) -> Path:
        return self._place / f"loans-{'odd' if number % 20 else 'even'}.{self._form}"

    def _record(self, seed: Seed) -> Record:
        trigger = "" if seed.trigger is None else seed.trigger.isoformat()
        state = "disputed" if seed.blocked else "closed"
        return (f"L{seed.number}", seed.subject or "", f"zqcanary, title {seed.number}", trigger, state)

    def _edit(self, number: int, edit: Callable[[list[Record]], list[Record]]) -> None:
        path = self._path(number)
        with self._lock:
            records = next(iter(self._contents(path)), [])
            self._put(path, edit(records))

    @property
    def store(self) -> Store:
        return self._store

    def reopen(self) -> Store:
        return self._kept(self._open())

    def criteria(self, on: date) -> Criteria:
        return criteria_for(self.location, on, self._disposition)

    def key(self, number: int) -> str:
        return f"{self._path(number).name}#L{number}"

    def number(self, line: bytes) -> int:
        found = re.search(r"73\d{5}", line.decode())
        assert found is not None
        return int(found[0])

    def exists(self, number: int) -> bool:
        path = self._path(number)
        return any(
            record[0] == f"L{number}" and record[2] != GONE
            for records in self._contents(path)
            for record in records
        )

    def change(self, number: int) -> None:
        def edit(records: list[Record]) -> list[Record]:
            return [
                (*record[:2], "zqcanary, another", (NOW + timedelta(days=3650)).isoformat(), record[4])
                if record[0] == f"L{number}"
                else record
                for record in records
            ]

        self._edit(number, edit)

    def remove(self, number: int) -> None:
        self._edit(number, lambda records: [record for record in records if record[0] != f"L{number}"])

    def restore(self, number: int) -> None:
        self.add(self._seeds[number])

    def add(self, seed: Seed) -> None:
        self._seeds[seed.number] = seed

        def edit(records: list[Record]) -> list[Record]:
            others = [record for record in records if record[0] != f"L{seed.number}"]
            return sorted([*others, self._record(seed)])

        self._edit(seed.number, edit)

    def close(self) -> None:
        for store in self._stores:
            store.close()


class FolderRows(RowsHarness):
    """Files below a root."""

    def _open(self) -> Store:
        return FileStore("exports", self._root, now=lambda: NOW)

    def _contents(self, path: Path) -> list[list[Record]]:
        """Read again only where it is another file than before: the suite asks for one record after the other."""
        try:
            status = path.stat()
        except OSError:
            return []
        seen = (status.st_ino, status.st_size, status.st_ctime_ns)
        before = self._known.get(path)
        if before is None or before[0] != seen:
            before = self._known[path] = seen, self._read(path)
        return [before[1]]

    def _put(self, path: Path, records: Sequence[Record]) -> None:
        aside = self._root.parent / f"{path.name}.aside"
        self._write(aside, records)
        stamp = (NOW - timedelta(days=1)).timestamp()
        os.utime(aside, (stamp, stamp))
        aside.replace(path)

    def ruin(self) -> None:
        self._place.rename(self._root.parent / f"{self._root.name}-aside")
        self._place.write_text("not a folder")


class BucketRows(RowsHarness):
    """Objects in a bucket that keeps versions. The root folder is where its hands read and write, and the store's state is."""

    def __init__(
        self, bucket: Bucket, root: Path, form: str, disposition: Disposition, seeds: Sequence[Seed]
    ) -> None:
        self._bucket = bucket
        self._ruined = False
        super().__init__(root, form, disposition, seeds)

    def _open(self) -> Store:
        state = self._root / "state"
        return S3Store(
            "exports", self._bucket.address, state=state, now=lambda: datetime.now(UTC), in_flight=0.5
        )

    def _contents(self, path: Path) -> list[list[Record]]:
        aside = self._root / f"{path.name}.read"
        found = []
        for content in [] if self._ruined else self._bucket.contents(f"out/vendor/{path.name}"):
            aside.write_bytes(content)
            found.append(self._read(aside))
        return found

    def _put(self, path: Path, records: Sequence[Record]) -> None:
        aside = self._root / f"{path.name}.aside"
        self._write(aside, records)
        key = f"out/vendor/{path.name}"
        self._bucket.wipe(key)
        self._bucket.put(key, aside.read_bytes())

    def ruin(self) -> None:
        self._bucket.drop()
        self._ruined = True


def _factory(form: str, disposition: Disposition, server: str = "") -> HarnessFactory:
    def build(request: pytest.FixtureRequest, folder: Path, seeds: Sequence[Seed]) -> StoreHarness:
        if server:
            bucket = Bucket(request.getfixturevalue(server), prefix="library/")
            return BucketRows(bucket, folder, form, disposition, seeds)
        return FolderRows(folder, form, disposition, seeds)

    purges = disposition is Disposition.PURGE
    where = f"-{server.removesuffix('_endpoint')}" if server else ""
    return HarnessFactory(
        label=f"rows-{form}-{disposition}{where}",
        supports=Supports(subjects=True, spans=True, blocking=True, undated=True, purges=purges),
        build=build,
    )


HARNESSES: tuple[HarnessFactory, ...] = (
    _factory("csv", Disposition.PURGE),
    _factory("parquet", Disposition.ANONYMIZE),
    _factory("xlsx", Disposition.PURGE),
    _factory("csv", Disposition.PURGE, "localstack_endpoint"),
    _factory("parquet", Disposition.ANONYMIZE, "moto_endpoint"),
)
"""Each form once on a disk, two in a bucket: forms and dispositions share the batch; `tests.storage.rows` has the rest."""
