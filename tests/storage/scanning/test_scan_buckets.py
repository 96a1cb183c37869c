"""Scanning buckets: every object a reader would get, in parts, and nothing of the rest called clean."""

from __future__ import annotations

import io
import random
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from retention.errors import StoreUnavailable
from storage.s3 import content
from storage.s3.content import open_version
from storage.s3.listing import walk
from storage.s3.wire import Wire
from storage.scanning.known import Known
from storage.scanning.lying import OLDER, UNFINISHED
from storage.scanning.patterns import Kind, Patterns
from storage.scanning.scan import Cover, Drift, Report, Scanner
from tests.storage.s3.buckets import Bucket
from tests.storage.scanning import corpus

NOW = datetime(2026, 6, 15, 18, tzinfo=UTC)
CARDS = "\n".join(corpus.barcode(random.Random(n)) for n in range(20)).encode()


@pytest.fixture(params=["moto_endpoint", "localstack_endpoint"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return Bucket(request.getfixturevalue(request.param), prefix="library/")


@pytest.fixture
def plain(moto_endpoint: str) -> Bucket:
    return Bucket(moto_endpoint, versioned=False)


def scan(bucket: Bucket, memory: Path | None = None, at: datetime = NOW, **changed: object) -> Report:
    scanner = Scanner(
        patterns=Patterns(), cover=lambda _: Cover.NOBODY, mark=lambda text: f"{hash(text):x}", memory=memory,
        **changed,  # type: ignore[arg-type]
    )  # fmt: skip
    wire = Wire(bucket.address)
    try:
        return scanner.scan([], at, buckets=[wire])
    finally:
        wire.close()


def found(report: Report) -> set[str]:
    return {result.path.rpartition("/")[2] for result in report.results}


def test_what_is_found_in_files_is_found_in_objects(bucket: Bucket, tmp_path: Path) -> None:
    people, others = corpus.build(tmp_path, 1)
    for path in tmp_path.iterdir():
        bucket.put(f"drop/{path.name}", path.read_bytes())
    report = scan(bucket)
    assert report.files == len(people) + len(others)
    assert (people - found(report), found(report) & others) == (set(), set())
    assert report.unread == {}


def test_only_current_versions_are_read_and_the_others_are_counted(bucket: Bucket) -> None:
    bucket.put("replaced.txt", CARDS)
    bucket.put("replaced.txt", b"nothing any more")
    bucket.put("hidden.txt", CARDS)
    bucket.hide("hidden.txt")
    bucket.put("current.txt", b"nothing yet")
    bucket.put("current.txt", CARDS)
    bucket.put("empty.txt", b"")
    bucket.begin("unfinished.txt")
    report = scan(bucket)
    assert (report.files, found(report)) == (3, {"current.txt"})
    assert report.unread == {OLDER: 3, UNFINISHED: 1}


def test_names_of_every_kind_are_read_and_named_below_the_bucket(bucket: Bucket) -> None:
    names = ["a b+c.txt", "ü/ñ.txt", "per%20cent.txt", "q?x=1&y=2#z.txt"]
    for name in names:
        bucket.put(name, CARDS)
    (outside := Bucket(bucket.endpoint)).put("x.txt", CARDS)
    assert {result.path for result in scan(bucket).results} == {
        f"s3://{bucket.name}/library/{name}" for name in names
    }
    assert len(scan(outside).results) == 1


def test_a_bucket_without_versions_is_read_too(plain: Bucket) -> None:
    plain.put("current.txt", b"nothing yet")
    plain.put("current.txt", CARDS)
    assert found(scan(plain)) == {"current.txt"}


def test_what_did_not_change_is_not_fetched_again(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("cards.txt", CARDS)
    memory = tmp_path / "scans.db"
    (first,) = scan(bucket, memory).results
    monkeypatch.setattr("storage.scanning.lying.open_version", lambda *_: pytest.fail("fetched again"))
    (again,) = scan(bucket, memory, NOW + timedelta(days=7)).results
    assert (first.drift, again.drift, again.first_seen) == ((Drift.NEW,), (), NOW)
    monkeypatch.undo()
    bucket.put("cards.txt", b"patron_barcode,email\n" + CARDS)
    (changed,) = scan(bucket, memory, NOW + timedelta(days=14)).results
    assert changed.first_seen == NOW


def test_large_objects_are_sampled_or_read_whole_in_little_memory(localstack_endpoint: str) -> None:
    bucket = Bucket(localstack_endpoint)  # a server in a process of its own
    line = b"2026-06-01 12:00:00 item 31234000000011 checked in\n"
    bucket.put("large.log", line * ((24 << 20) // len(line)) + CARDS)
    (sampled,) = scan(bucket).results
    tracemalloc.start()
    (whole,) = scan(bucket, whole=True).results
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (sampled.found.sampled, whole.found.sampled) == (True, False)
    assert sampled.found.kinds == whole.found.kinds == {Kind.BARCODE: 20}
    assert peak < 3 * content.LARGEST


def test_known_people_are_found_in_objects(bucket: Bucket, tmp_path: Path) -> None:
    known = Known(tmp_path / "known")
    card = corpus.barcode(random.Random(3))
    known.remember([card])
    bucket.put("replica.sql", f"INSERT INTO usr VALUES (7,'{card}');".encode())
    (result,) = scan(bucket, known=known).results
    assert result.found.kinds[Kind.KNOWN] == 1


def test_a_bucket_that_is_not_there_is_an_error_and_nothing_is_remembered(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("cards.txt", CARDS)
    memory = tmp_path / "scans.db"
    gone = Bucket(bucket.endpoint)
    gone.drop()
    with pytest.raises(StoreUnavailable):
        Scanner(
            patterns=Patterns(), cover=lambda _: Cover.NOBODY, mark=lambda text: f"{hash(text):x}", memory=memory
        ).scan([], NOW, buckets=[Wire(bucket.address), Wire(gone.address)])  # fmt: skip
    (result,) = scan(bucket, memory).results
    assert result.drift == (Drift.NEW,)


def test_what_went_or_was_replaced_while_it_was_read_is_counted_and_not_called_clean(bucket: Bucket) -> None:
    for name in ("a.txt", "b.txt"):
        bucket.put(name, CARDS)
    wire = Wire(bucket.address)
    (first, second) = [entry for entries in walk(wire, "library/") for entry in entries]
    bucket.wipe("a.txt")
    with pytest.raises(FileNotFoundError, match="went while it was read"):
        open_version(wire, first).read()
    assert open_version(wire, second).read() == CARDS
    wire.close()


def test_a_nameless_version_is_never_mixed_with_what_replaced_it(plain: Bucket) -> None:
    plain.put("large.bin", bytes(9 << 20))
    wire = Wire(plain.address)
    (entry,) = [entry for entries in walk(wire, "") for entry in entries]
    file = open_version(wire, entry)
    assert len(file.read(100)) == 100
    plain.put("large.bin", b"\1" * (9 << 20))
    with pytest.raises(OSError, match="replaced while it was read"):
        file.read()
    wire.close()


def test_any_part_can_be_asked_for(bucket: Bucket) -> None:
    body = random.Random(1).randbytes(11 << 20)
    bucket.put("body.bin", body)
    wire = Wire(bucket.address)
    (entry,) = [entry for entries in walk(wire, "library/") for entry in entries]
    file, chance = open_version(wire, entry), random.Random(2)
    for _ in range(30):
        at, length = chance.randrange(len(body) + 10), chance.randrange(300_000)
        file.seek(at)
        assert file.read(length) == body[at : at + length]
    file.seek(-100, io.SEEK_END)
    assert file.read() == body[-100:]
    file.seek(0)
    assert file.read() == body
    wire.close()


def test_workbooks_and_parquet_are_read_without_being_fetched_whole_at_once(bucket: Bucket) -> None:
    people = [corpus.person(random.Random(n)) for n in range(40)]
    names = ["cardnumber", "surname", "email"]
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (names, *([one[name] for name in names] for one in people)):
        sheet.append(row)
    written = io.BytesIO()
    book.save(written)
    bucket.put("people.xlsx", written.getvalue())
    written = io.BytesIO()
    pq.write_table(pa.table({name: [one[name] for one in people] for name in names}), written)
    bucket.put("people.parquet", written.getvalue())
    bucket.put("damaged.parquet", b"PAR1....PAR1")
    report = scan(bucket)
    assert found(report) == {"people.xlsx", "people.parquet"}
    assert sum(report.unread.values()) == 1
