"""One location in a bucket, with the few moves of a case. Uploads bear the time of now; the clock and the day are moved instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retention.decide import Criteria
from retention.holds import Hold, HoldState, Scope
from retention.outcomes import Presence
from retention.schedule import TreeLocation, TriggerKind
from storage.contract import Survey
from storage.files.facts import NoRegister, Register
from storage.s3.store import S3Store
from storage.s3.wire import Address
from tests.contract.harness import ZONE, criteria_for
from tests.storage.s3.buckets import Bucket

EXPORTS = TreeLocation(
    name="exports",
    store="bucket",
    zone=ZONE,
    trigger_kind=TriggerKind.MODIFIED,
    subject="unknown",
    path="out",
    template="{path}",
)


class Drawer:
    """A store over a bucket. ``days``: how far ahead of the uploads its clock is; records are due from the 31st day."""

    def __init__(
        self, bucket: Bucket, folder: Path, *, location: TreeLocation = EXPORTS, days: int = 40, endpoint: str = "",
        register: Callable[[], Register] = NoRegister,
    ) -> None:  # fmt: skip
        self.bucket = bucket
        self.folder = folder
        self.days = days
        self.location = location
        self.register = register
        self.address = self._address(endpoint or bucket.endpoint)
        self.store = self.open()

    def _address(self, endpoint: str) -> Address:
        return replace(self.bucket.address, endpoint=endpoint)

    def open(self) -> S3Store:
        return S3Store(
            "bucket", self.address, state=self.folder, now=self.now, in_flight=0.5, register=self.register
        )

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=self.days)

    @property
    def criteria(self) -> Criteria:
        return criteria_for(self.location, self.now().astimezone(ZONE).date())

    def survey(self, holds: Sequence[Hold] = ()) -> tuple[Survey, list[bytes]]:
        written: list[bytes] = []
        found = self.store.survey(self.criteria, holds, written.append, lambda _: None)
        return found, b"".join(written).splitlines()

    def due(self, holds: Sequence[Hold] = ()) -> list[str]:
        return [self.store.reference(line) for line in self.survey(holds)[1]]

    def destroy(
        self, lines: Sequence[bytes] | None = None, holds: Iterable[Hold] = ()
    ) -> dict[str, Presence]:
        """A batch of all that is due, or of these lines: what was read back, by key."""
        given = self.survey()[1] if lines is None else lines
        with self.store.batch(self.criteria) as batch:
            staged = batch.stage(given, holds)
            batch.destroy()
            seen = batch.read_back()
        return {
            self.store.reference(given[index]): presence
            for index, presence in zip(staged.chosen, seen, strict=True)
        }

    def left(self) -> list[str]:
        """Keys at which anything is, below the location."""
        return sorted({key.removeprefix("out/") for key, _ in self.bucket.everything()})


def on_everything(id: str = "hold-1") -> Hold:
    return Hold(id=id, state=HoldState.ACTIVE, scope=Scope(record_types=frozenset({"contract-suite"})))
