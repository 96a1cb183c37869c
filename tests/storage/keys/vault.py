"""A key store in a folder of its own, with a clock, a schedule to place holds under, and an adversary who keeps everything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, event

from retention.decide import Criteria
from retention.holds import Hold, HoldState, Scope
from retention.loader import load
from retention.records import Personal, Span
from retention.schedule import Schedule
from storage.keys.ground import Ground
from storage.keys.keystore import KeyStore
from storage.keys.roots.local import LocalRoot
from storage.keys.roots.root import Root, RootKind, Roots
from storage.keys.values import Facts, NewObject
from storage.planning import criteria_for
from tests.storage import site

NOW = datetime(2025, 6, 2, 15, 0, tzinfo=UTC)
RECORD_TYPE, PLACE, OTHER_PLACE, STORE = "loans", "loan", "aged-loan", "ils"
_MEMORY = Path("/dev/shm")  # noqa: S108  # folders in it are made by mkdtemp
FAST = str(_MEMORY) if _MEMORY.is_dir() else None
"""For tests that write thousands of transactions and ask nothing of the disk."""
NAME = "zqcanary-patron-7305511"


@lru_cache(maxsize=1)
def schedule() -> Schedule:
    return load(site.text(), "policies.toml")


def criteria(place: str = PLACE) -> Criteria:
    record_type = next(one for one in schedule().record_types if one.id == RECORD_TYPE)
    return criteria_for(schedule(), record_type, place, NOW.date())


def hold(id: str, *subjects: str, **scope: Any) -> Hold:
    return Hold(
        id=id,
        state=HoldState.ACTIVE,
        scope=Scope(subjects=frozenset(Personal(subject) for subject in subjects), **scope),
    )


def facts(
    number: int = 1, *, subject: str | None = NAME, place: str = PLACE, size: int = 10, **more: Any
) -> Facts:
    """``number``: the day of January on which it was finished."""
    told = Facts(
        record_type=RECORD_TYPE, location=place, store=STORE, trigger=date(2025, 1, number), size=size,
        span=Span(start=None, end=None), subject=None if subject is None else Personal(subject),
    )  # fmt: skip
    return replace(told, **more)


class Vault:
    """``url``: SQLite in the folder unless given. Every look at the clock is a second."""

    def __init__(
        self, folder: Path, url: str = "", *, roots: Roots | None = None, busy_seconds: float = 5.0
    ) -> None:
        self.folder = folder
        self.file = folder / "keys.db"
        self.url = url or f"sqlite:///{self.file}"
        self.roots = roots or local_roots(folder)
        self._busy_seconds = busy_seconds
        self._at = NOW
        self._witnesses = 0
        self.store = self.opened()

    def opened(self) -> KeyStore:
        """Another process's view of the same store."""
        return KeyStore(
            self.url, self.roots, backups=self.folder / "backups", busy_seconds=self._busy_seconds
        )

    def reopen(self) -> None:
        self.store.close()
        self.store = self.opened()

    def now(self) -> datetime:
        self._at += timedelta(seconds=1)
        return self._at

    def pass_days(self, days: int) -> None:
        self._at += timedelta(days=days)

    def seal(self, number: int = 1, *, period: str = "2025-01", **more: Any) -> NewObject:
        made = self.store.begin_sealing(facts(number, **more), period=period, at=self.now())
        self.store.finish_sealing(made.id, sealed_size=42, digest="ab" * 32, at=self.now())
        return made

    def destroy(self, *ids: str) -> str:
        """Through the gate; the witness."""
        self._witnesses += 1
        witness = f"case-{self._witnesses}"
        with self.store.gate(at=self.now()) as writing:
            writing.destroy(ids, witness=witness)
            writing.commit()
        return witness

    def cohort_of(self, id: str) -> str:
        found = self.store.object(id).cohort
        assert found is not None
        return found

    def hold(self, *holds: Hold, place: str = PLACE) -> int:
        return self.store.reconcile(Ground.of(criteria(place)), holds, at=self.now())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.store.db.reading() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]


def local_roots(folder: Path) -> Roots:
    return Roots(chosen=RootKind.LOCAL, known={RootKind.LOCAL: LocalRoot(folder / "roots")})


def one_root(kind: RootKind, root: Root) -> Roots:
    return Roots(chosen=kind, known={kind: root})


@lru_cache(maxsize=1)
def template() -> Path:
    """An upgraded key store without a root, to be copied: migrating takes longer than most tests."""
    folder = Path(mkdtemp(prefix="retention-keys-", dir=FAST))
    store = KeyStore(f"sqlite:///{folder / 'keys.db'}", local_roots(folder), backups=folder)
    store.db.upgrade()
    store.db.truncate(NOW)
    store.close()
    return folder / "keys.db"


@contextmanager
def vault(
    folder: Path, url: str = "", *, roots: Roots | None = None, busy_seconds: float = 5.0
) -> Iterator[Vault]:
    """A key store with its first root."""
    if not url:
        shutil.copyfile(template(), folder / "keys.db")
        (folder / "keys.db").chmod(0o600)
    made = Vault(folder, url, roots=roots, busy_seconds=busy_seconds)
    try:
        made.store.upgrade(at=made.now())
        yield made
    finally:
        made.store.close()


Wrap = tuple[str, str, str, int, bytes]


@dataclass(kw_only=True)
class Adversary:
    """Keeps every wrap that any transaction ever wrote, even one that was rolled back; then seizes roots.

    Knows the format from docs/decisions/0007 and uses nothing of the product.
    """

    kept: set[Wrap]

    @classmethod
    def watching(cls, store: KeyStore) -> Adversary:
        adversary = cls(kept=set())
        adversary.watch(store)
        return adversary

    def watch(self, store: KeyStore) -> None:
        event.listen(store.db.engine, "commit", self._keep)
        event.listen(store.db.engine, "rollback", self._keep)

    def look(self, store: KeyStore) -> None:
        """Take what stands there now, whoever wrote it."""
        with store.db.reading() as connection:
            self._keep(connection)

    def _keep(self, connection: Connection) -> None:
        rows = connection.exec_driver_sql("SELECT child, wrapper, purpose, epoch, body FROM wrap").fetchall()
        self.kept |= {(row[0], row[1], row[2], row[3], bytes(row[4])) for row in rows}

    def opens(self, roots: dict[str, bytes]) -> dict[str, bytes]:
        """Every data key that these roots (by id) lead to, by kid."""
        return self.reaches(roots)[1]

    def reaches(self, roots: dict[str, bytes]) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Every cohort and hold key, and every data key, by kid."""
        below: dict[str, list[Wrap]] = {}
        for wrap in self.kept:
            below.setdefault(wrap[1], []).append(wrap)
        upper: dict[str, bytes] = {}
        found: dict[str, bytes] = {}
        waiting = dict(roots)
        while waiting:
            wrapper, key = waiting.popitem()
            for child, _, purpose, epoch, body in below.get(wrapper, []):
                bound = f"retention wrap v1\n{child}\n{wrapper}\n{purpose}\n{epoch}".encode()
                try:
                    opened = AESGCM(key).decrypt(body[:12], body[12:], bound)
                except InvalidTag:
                    continue
                assert commitment(opened) == child
                if purpose == "data":
                    found[child] = opened
                elif child not in upper:
                    upper[child] = waiting[child] = opened
        return upper, found


def commitment(key: bytes) -> str:
    return HKDF(algorithm=SHA256(), length=16, salt=None, info=b"retention kid v1").derive(key).hex()


def seized(folder: Path) -> dict[str, bytes]:
    """Every root file that lies there."""
    return {path.stem: path.read_bytes() for path in (folder / "roots").glob("*.root")}


def raw(objects: Sequence[NewObject]) -> dict[str, bytes]:
    """Their data keys, by kid."""
    return {one.kid: bytes(one.key.reveal()) for one in objects}
