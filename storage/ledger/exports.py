"""The registry of exports in the ledger. What it knows about a file is sealed: a name may be a patron's, a digest may be guessed at.

Append-only. Places and people are found again by keyed digests; the last entry of a place counts.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Row, insert, select

from retention.errors import UsageError
from retention.exports import Basis, Export, Step, Taken
from retention.records import Personal
from storage.ledger import tables
from storage.ledger.connection import LedgerConnection, stamp, unstamp
from storage.ledger.sealing import Sealer


def new_export_id(at: datetime) -> str:
    return f"E{at.astimezone(UTC):%Y%m%d}-{secrets.token_hex(4)}"


class Snapshot:
    """What the registry knew at one moment: answers without asking the ledger again. See `storage.files.facts.Register`."""

    def __init__(
        self, sealer: Sealer, known: dict[str, tuple[datetime, tuple[int, int, int]]], withdrawn: frozenset[str]
    ) -> None:  # fmt: skip
        self._sealer = sealer
        self._known = known
        self._withdrawn = withdrawn

    def produced(self, store: str, path: str) -> datetime | None:
        found = self._found(store, path)
        return None if found is None else found[0]

    def identity(self, store: str, path: str) -> tuple[int, int, int] | None:
        found = self._found(store, path)
        return None if found is None else found[1]

    def _found(self, store: str, path: str) -> tuple[datetime, tuple[int, int, int]] | None:
        return self._known.get(self._sealer.mark("place", f"{store}\0{path}"))

    def withdrew(self, subject: str) -> bool:
        return bool(self._withdrawn) and self._sealer.mark("subject", subject) in self._withdrawn


class Exports:
    def __init__(self, connection: LedgerConnection, sealer: Sealer) -> None:
        self._db = connection
        self._sealer = sealer

    def register(self, exports: Iterable[Export], *, actor: str, at: datetime) -> None:
        """Enter exports, all or none."""
        with self._db.write(at) as entry:
            for export in exports:
                body = json.dumps(_plain(export), sort_keys=True).encode()
                entry.connection.execute(
                    insert(tables.export).values(
                        id=export.id, mark=self._mark(export), body=self._sealer.seal(body, export.id), at=stamp(at)
                    )
                )  # fmt: skip
                entry.record(
                    "export.registered", actor=actor, subject=export.id, body={"basis": export.basis.value}
                )

    def take(
        self, export_id: str, step: Step, *, actor: str, at: datetime, document_digest: str | None = None
    ) -> None:
        """Write down what became of an export. Raises `UsageError` for an unknown id."""
        self.get(export_id)
        with self._db.write(at) as entry:
            entry.connection.execute(
                insert(tables.export_step).values(
                    export_id=export_id, step=step.value, actor=actor, document_digest=document_digest, at=stamp(at)
                )
            )  # fmt: skip
            body = {} if document_digest is None else {"document": document_digest}
            entry.record(f"export.{step.value}", actor=actor, subject=export_id, body=body)

    def withdraw(self, subjects: Iterable[str], *, withdrawn: bool, actor: str, at: datetime) -> int:
        """Write down who withdrew consent, or gave it again. Returns how many that changes anything for."""
        known = self._withdrawn()
        changed = [
            mark
            for mark in {self._sealer.mark("subject", subject) for subject in subjects}
            if (mark in known) is not withdrawn
        ]
        if changed:
            with self._db.write(at) as entry:
                rows = [
                    {"mark": mark, "withdrawn": withdrawn, "actor": actor, "at": stamp(at)}
                    for mark in changed
                ]
                entry.connection.execute(insert(tables.withdrawal), rows)
                kind = "consent.withdrawn" if withdrawn else "consent.given"
                entry.record(kind, actor=actor, subject="exports", body={"people": len(changed)})
        return len(changed)

    def get(self, export_id: str) -> Export:
        """Raises `UsageError` for an unknown id."""
        for export in self.list():
            if export.id == export_id:
                return export
        raise UsageError(f"there is no export {export_id}", "see: retention export list")

    def list(self) -> list[Export]:
        """Oldest first, with what became of each."""
        with self._db.read() as connection:
            rows = connection.execute(
                select(tables.export).order_by(tables.export.c.at, tables.export.c.id)
            ).all()
            steps: dict[str, list[Taken]] = {}
            for row in connection.execute(select(tables.export_step).order_by(tables.export_step.c.id)):
                taken = Taken(
                    step=Step(row.step),
                    at=unstamp(row.at),
                    actor=row.actor,
                    document_digest=row.document_digest,
                )
                steps.setdefault(row.export_id, []).append(taken)
        return [replace(self._export(row), steps=tuple(steps.get(row.id, ()))) for row in rows]

    def at_place(self) -> dict[tuple[str, str], Export]:
        """The exports whose copy is not known to be gone, by store and path; the last entry of a place counts."""
        return {
            (export.store, export.path.reveal()): export
            for export in self.list()
            if not export.took(Step.GONE)
        }

    def mark_path(self, path: str) -> str:
        """A keyed digest of any path, for whoever must find it again without keeping it."""
        return self._sealer.mark("path", path)

    def snapshot(self) -> Snapshot:
        known = {
            self._mark(export): (export.produced_at, export.identity) for export in self.at_place().values()
        }
        return Snapshot(self._sealer, known, self._withdrawn())

    def _withdrawn(self) -> frozenset[str]:
        query = select(tables.withdrawal.c.mark, tables.withdrawal.c.withdrawn).order_by(
            tables.withdrawal.c.id
        )
        with self._db.read() as connection:
            last = {row.mark: bool(row.withdrawn) for row in connection.execute(query)}
        return frozenset(mark for mark, withdrawn in last.items() if withdrawn)

    def _mark(self, export: Export) -> str:
        return self._sealer.mark("place", f"{export.store}\0{export.path.reveal()}")

    def _export(self, row: Row[Any]) -> Export:
        body = json.loads(self._sealer.open(row.body, row.id))
        due = body["due_on"]
        return Export(
            **{
                **body,
                "path": Personal(body["path"]),
                "columns": tuple(body["columns"]),
                "copies": tuple(body["copies"]),
                "identity": tuple(body["identity"]),
                "produced_at": unstamp(body["produced_at"]),
                "first_seen": unstamp(body["first_seen"]),
                "basis": Basis(body["basis"]),
                "due_on": None if due is None else date.fromisoformat(due),
            }
        )


def _plain(export: Export) -> dict[str, Any]:
    body = asdict(export)
    del body["steps"]
    return {
        **body,
        "path": export.path.reveal(),
        "produced_at": stamp(export.produced_at),
        "first_seen": stamp(export.first_seen),
        "basis": export.basis.value,
        "due_on": None if export.due_on is None else export.due_on.isoformat(),
    }
