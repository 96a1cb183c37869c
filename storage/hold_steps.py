"""What every step of a hold has in common: who may take it, what they may see, and their signature under what it becomes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from retention.document import JSON, write
from retention.errors import Refused
from retention.holds import HoldState
from retention.permissions import Act
from retention.schedule import Schedule
from storage.ledger.holds import HoldAction, HoldFile
from storage.ledger.ledger import Ledger
from storage.seeing import seen
from storage.signatures import Signing, authorise

STATEMENT_TYPE = "https://retention.example/hold-action/v1"


class Steps:
    """``now`` gives the current time; nothing below reads a clock of its own."""

    def __init__(self, *, ledger: Ledger, schedule: Schedule, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._schedule = schedule
        self._now = now

    def _of(self, id: str, by: Signing, act: Act, *states: HoldState, otherwise: str = "") -> HoldFile:
        """The hold as this person may see it and act on it. Without ``states``: in any.

        Raises `Refused` for a role that may not and for a hold in another state (``otherwise`` says what that prevents),
        `UsageError` when there is none for this person.
        """
        person = authorise(self._ledger, by, act)
        file = seen(self._ledger, id, person.name)
        if states and file.state not in states:
            raise Refused(f"hold {id} is {file.state.value}: {otherwise}", f"see: retention hold show {id}")
        return file

    def _move(
        self, file: HoldFile, to: HoldState, action: str, by: Signing, *, document_digest: str | None = None,
        grace: timedelta | None = None,
    ) -> HoldFile:  # fmt: skip
        now = self._now()
        self._ledger.require_ready(now)
        step = self._signed(file, action, by, now, document_digest)
        return self._ledger.holds.move(
            file,
            to=to,
            actor=by.person.name,
            at=now,
            action=step,
            grace_until=None if grace is None else now + grace,
        )

    def _revise(
        self, file: HoldFile, action: str, by: Signing, *, to: HoldState | None = None, **changed: Any
    ) -> HoldFile:
        """A step that changes what the hold says; the signature is under what it says afterwards."""
        now = self._now()
        self._ledger.require_ready(now)
        revised = replace(file, **changed)
        return self._ledger.holds.move(
            file,
            to=to or file.state,
            actor=by.person.name,
            at=now,
            action=self._signed(revised, action, by, now),
            grace_until=file.grace_until,
            revised=revised,
        )

    def _signed(
        self, file: HoldFile, action: str, by: Signing, now: datetime, document_digest: str | None = None
    ) -> HoldAction:
        """The step, signed. ``body`` binds what the hold is about, without telling it to whoever reads the statement; ``after``, how
        many steps led there: the same state may be reached again by others."""
        at = by.at or now
        statement: dict[str, JSON] = {
            "type": STATEMENT_TYPE, "hold": file.id, "action": action, "person": by.person.name, "document": document_digest,
            "body": self._ledger.holds.mark(file), "after": len(file.actions), "at": write(at),
        }  # fmt: skip
        return HoldAction(
            action=action, person=by.person.name, document_digest=document_digest, statement=statement,
            signature=by.sign(statement).text, epoch=0, at=at,
        )  # fmt: skip

    def _today(self) -> date:
        return self._now().astimezone(self._schedule.library.zone).date()


def new_hold_id(now: datetime) -> str:
    """An id that says the day and nothing else."""
    return f"H{now.astimezone(UTC):%Y%m%d}-{secrets.token_hex(4)}"
