"""Destroying by key beside destroying by row: a cohort of N objects against ``DELETE`` of as many rows; and how fast keys are rewrapped."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import insert, select, update

from bench.report import Findings, Goal
from bench.sizes import Scale
from retention.records import Span
from storage.keys import replacing, tables, tree, wrapping
from storage.keys.keystore import KeyStore
from storage.keys.opening import KeySite
from storage.keys.roots.root import RootKind
from storage.keys.secret import SecretKey
from storage.keys.values import Facts
from storage.keys.wrapping import Place, Purpose

OBJECTS = {"full": (1_000, 10_000, 100_000, 1_000_000), "small": (1_000, 100_000), "tiny": (100, 2_000)}
REWRAPS = {"full": 200_000, "small": 20_000, "tiny": 500}
AT = datetime(2026, 1, 1, tzinfo=UTC)
_FACTS_BYTES = 140
"""About as much as the sealed facts of a patron's row."""
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "temp_store=MEMORY")


def measure(scale: Scale) -> Findings:
    sizes, rewraps = scale.of(OBJECTS), scale.of(REWRAPS)
    found = Findings(
        bench="keys", title=f"cohorts of {', '.join(f'{size:,}' for size in sizes)} objects, destroyed by their key",
        sizes={"objects": list(sizes), "rewraps": rewraps}, versions={"sqlite": sqlite3.sqlite_version},
    )  # fmt: skip
    largest = sizes[-1]
    for size in sizes:
        # The gain grows with the cohort: the goal is that of the largest.
        goal = Goal(value=50.0) if size == largest else None
        rate = found.measure(f"cohort of {size:,}", "objects/s", "DELETE with secure_delete", goal)
        for _ in range(scale.pairs):
            rate.add(size / expired(scale.folder / "ours", size), size / deleted(scale.folder / "peer", size))
    flat = found.measure(
        f"time for {largest:,} beside {sizes[0]:,}",
        "ms",
        f"a cohort of {sizes[0]:,}",
        Goal(value=2.0, at_least=False),
    )
    for _ in range(max(3, scale.pairs)):
        small, large = expired(scale.folder / "ours", sizes[0]), expired(scale.folder / "ours", largest)
        flat.add(large * 1000, small * 1000)
    crypto = found.measure(
        "rewraps: open, check the commitment, wrap", "1/s of CPU", goal=Goal(value=100_000, of_ours=True)
    )
    whole = found.measure("rewraps with their rows, committed", "1/s of CPU")
    for _ in range(scale.pairs):
        crypto.add(rewrapped(rewraps))
        whole.add(replaced(scale.folder / "ours", rewraps))
    found.notes.append(
        "both sides end durable and with SQLite's log emptied; ours removes one row, whatever lies below it"
    )
    return found


@contextmanager
def key_store(folder: Path) -> Iterator[KeyStore]:
    site = KeySite(
        url=f"sqlite:///{folder / 'keys.db'}", kind=RootKind.LOCAL, roots=folder / "roots", backups=folder / "backups"
    )  # fmt: skip
    folder.mkdir()
    store = site.open()
    try:
        store.upgrade(at=AT)
        yield store
    finally:
        store.close()
        shutil.rmtree(folder)


def expired(folder: Path, size: int) -> float:
    """Seconds that destroying a cohort of that size takes, gate and read-back included."""
    with key_store(folder) as store:
        cohort = filled(store, size)
        began = time.perf_counter()
        with store.gate(at=AT) as writing:
            writing.destroy([cohort], witness="bench")
            writing.commit()
            (presence,) = store.presence([cohort])
        took = time.perf_counter() - began
        if presence.value != "absent" or store.erasure(["bench"]).objects != size:
            raise AssertionError(f"{cohort} was not destroyed whole")
        return took


def filled(store: KeyStore, size: int) -> str:
    """A cohort with so many objects; but for the first, their wraps and facts are random bytes of the same length."""
    facts = Facts(
        record_type="loans", location="loan", store="ils", trigger=date(2025, 1, 1), span=Span(start=None, end=None), size=10
    )  # fmt: skip
    made = store.begin_sealing(facts, period="2025-01", at=AT)
    store.finish_sealing(made.id, sealed_size=20, digest="ab" * 32, at=AT)
    made.key.wipe()
    series = (
        f"WITH RECURSIVE n(i) AS (SELECT 2 WHERE {size} > 1 UNION ALL SELECT i + 1 FROM n WHERE i < {size})"
    )
    names = ", ".join(f'"{column.name}"' for column in tables.sealed_object.columns)
    values = (
        names.replace('"id"', "printf('%016x', i)")
        .replace('"kid"', "printf('%032x', i)")
        .replace('"seq"', "i")
    )
    values = values.replace('"facts"', f"randomblob({_FACTS_BYTES})")
    with store.db.writing() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO sealed_object ({names}) {series} SELECT {values} FROM n, (SELECT * FROM sealed_object LIMIT 1)"
        )
        connection.exec_driver_sql(
            f"INSERT INTO wrap (child, wrapper, purpose, epoch, body) {series} "
            f"SELECT printf('%032x', i), wrapper, purpose, epoch, randomblob({wrapping.WRAP_BYTES}) "
            "FROM n, (SELECT * FROM wrap WHERE purpose = 'data' LIMIT 1)"
        )
        connection.execute(update(tables.holder).values(objects=size, size=10 * size, last_seq=size))
    store.db.truncate(AT)
    (cohort,) = store.cohorts("loans", "loan")
    return cohort.id


def deleted(folder: Path, size: int) -> float:
    """Seconds that ``DELETE`` of as many rows of the same width takes, committed, with the log emptied."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "rows.db", isolation_level=None)) as connection:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE loan (id TEXT PRIMARY KEY, period TEXT, body BLOB)")
        connection.execute(
            f"INSERT INTO loan WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {size}) "
            f"SELECT printf('%016x', i), '2025-01', randomblob({_FACTS_BYTES}) FROM n"
        )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        began = time.perf_counter()
        # As DELETE FROM without a condition SQLite would drop the pages whole, which no purge can ask for.
        connection.execute("DELETE FROM loan WHERE period = '2025-01'")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        took = time.perf_counter() - began
        if connection.execute("SELECT count(*) FROM loan").fetchone() != (0,):
            raise AssertionError("rows are left")
    shutil.rmtree(folder)
    return took


def rewrapped(count: int) -> float:
    """Rewraps in a CPU second, without a database."""
    old, new = SecretKey.random(), SecretKey.random()
    before, after, kids = AESGCM(old.reveal()), AESGCM(new.reveal()), (old.kid, new.kid)
    wraps = []
    for _ in range(count):
        key = SecretKey.random()
        place = Place(child=key.kid, wrapper=kids[0], purpose=Purpose.DATA, epoch=1)
        wraps.append((place, wrapping.wrap(key, place, before)))
    began = time.process_time()
    for place, body in wraps:
        with wrapping.unwrap(body, place, before) as key:
            wrapping.wrap(
                key, Place(child=place.child, wrapper=kids[1], purpose=Purpose.DATA, epoch=2), after
            )
    return count / (time.process_time() - began)


def replaced(folder: Path, count: int) -> float:
    """Keys in a CPU second, when a dirty wrapper above so many is replaced."""
    with key_store(folder) as store:
        cohort = filled(store, 1)
        with store.db.write(AT) as entry:
            kid = entry.connection.execute(
                select(tables.holder.c.kid).where(tables.holder.c.id == cohort)
            ).scalar_one()
            cipher = store.keyring.cipher(entry.connection, kid)
            rows = []
            for _ in range(count):
                key = SecretKey.random()
                place = Place(child=key.kid, wrapper=kid, purpose=Purpose.DATA, epoch=1)
                rows.append(
                    {"child": place.child, "wrapper": kid, "purpose": "data", "epoch": 1, "body": wrapping.wrap(key, place, cipher)}
                )  # fmt: skip
            entry.connection.execute(insert(tables.wrap), rows)
            tree.soil(entry, [kid])
        began = time.process_time()
        done = replacing.replace_dirty(store.db, store.keyring, at=AT)
        took = time.process_time() - began
        if done.children != count + 1:
            raise AssertionError(f"{done.children} of {count + 1} keys were rewrapped")
        return count / took
