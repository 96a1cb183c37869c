"""`Cabinet`: seals and opens the values of one table location, and computes its blind indexes.

One data key per patron and expiry period. Its object is registered with the last trigger day of the period, so that nothing in it is ever
due too early. What stood in the column unencrypted before has an object apart from what was sealed from birth: a certificate claims
the weaker of the two for the first only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from retention.decide import Criteria
from retention.errors import KeyDestroyed, ScheduleInvalid
from retention.expiry import last_trigger, period_of
from retention.records import Personal, Span
from retention.schedule import Disposition, TableLocation
from storage.keys.keystore import KeyStore
from storage.keys.values import Facts, ObjectState
from storage.sealed.columns_directory import INDEX, SUBJECT, Directory
from storage.sealed.columns_keys import KeyCache
from storage.sealed.columns_token import Place, Token, open_, seal

_NOTHING_SEALED = hashlib.sha256().hexdigest()
_INDEX = b"retention blind index v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whose value it is, and the trigger of its record: as in `retention.records.Record`. ``subject``: ``None`` for nobody's.

    ``plaintext_since``: when it stood there unencrypted, if it did; ``None`` for a value that was never stored otherwise.
    """

    subject: Personal[str] | None
    trigger: date | datetime
    plaintext_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Blind:
    """A value of a blind index: equal for equal values of one period, and useless to whoever has not the index key."""

    tag: str


class Cabinet:
    """``now``: aware. Every method works in the transaction of the connection it is given, and commits nothing."""

    def __init__(
        self,
        keys: KeyStore,
        criteria: Criteria,
        *,
        now: Callable[[], datetime],
        directory: Directory | None = None,
    ) -> None:
        """Raises `ScheduleInvalid` for a location whose values are not to be crypto-shredded."""
        location = criteria.location
        if criteria.record_type.disposition is not Disposition.CRYPTO_SHRED or not isinstance(
            location, TableLocation
        ):
            raise ScheduleInvalid(
                f"location {location.name} of {criteria.record_type.id} has no sealed columns",
                'write disposition = "crypto-shred" and sealed = ["column", …]',
            )
        self.criteria = criteria
        self.location = location
        self.directory = directory or Directory()
        self._keys = keys
        self._cache = KeyCache(keys)
        self._now = now
        self._place = f"{criteria.record_type.id}/{location.name}"

    def seal(
        self, plain: bytes, about: About, column: str, connection: sa.Connection, *, row: str = ""
    ) -> Token:
        """Seal a value. ``row``: bind it to the row of that key; whoever opens it must give the same.

        Raises `KeyStoreUnavailable`, `KeyUnreadable`.
        """
        id = self._object(about, connection)
        with self._cache.key(id) as key:
            return seal(plain, key, id, Place(self.location.table, column, row))

    def open(self, token: Token, column: str, *, row: str = "") -> bytes:
        """The value again. Raises `KeyDestroyed`, `KeyUnreadable`, `SealedUnreadable`, `KeyStoreUnavailable`."""
        with self._cache.key(token.id) as key:
            return open_(token, key, Place(self.location.table, column, row))

    def blind(self, value: str, about: About, column: str, connection: sa.Connection) -> Blind:
        """What to write into a blind-index column for a value of this column."""
        index = self._index(about, period_of(self.criteria, about.trigger), connection)
        return Blind(self._tag(index, "blind", column, value))

    def blinds(self, value: str, column: str, connection: sa.Connection) -> list[Blind]:
        """What a value may stand as in a blind-index column, once for each period that lives."""
        found = []
        for _, index in self.directory.indexes(connection, self._place):
            try:
                found.append(Blind(self._tag(index, "blind", column, value)))
            except KeyDestroyed:
                continue  # the period is gone, and its index with it
        return found

    def objects_of(self, subject: Personal[str], connection: sa.Connection) -> list[str]:
        """Ids of the living objects that seal a patron's values: what to withdraw when consent is."""
        found = []
        for _, index in self.directory.indexes(connection, self._place):
            for born in (True, False):
                try:
                    tag = self._tag(index, SUBJECT, str(born), subject.reveal())
                except KeyDestroyed:
                    continue
                id = self.directory.find(connection, tag)
                if id is not None:
                    found.append(id)
        return found

    def forget(self) -> None:
        """Wipe the keys in memory."""
        self._cache.forget()

    def _object(self, about: About, connection: sa.Connection) -> str:
        """The object that seals this patron's values of this period; made when missing."""
        period = period_of(self.criteria, about.trigger)
        subject = "" if about.subject is None else about.subject.reveal()
        index = self._index(about, period, connection)
        tag = self._tag(index, SUBJECT, str(about.plaintext_since is None), subject)
        return self._living(tag, SUBJECT, about, period, connection)

    def _index(self, about: About, period: str, connection: sa.Connection) -> str:
        """The object of the period's index key: nobody's, wrapped under the cohort's key like all others, and dead with it."""
        whole = f"{self._place}/{period}"
        tag = f"{INDEX}.{hashlib.sha256(whole.encode()).hexdigest()}"
        nobody = About(subject=None, trigger=about.trigger)
        return self._living(tag, INDEX, nobody, period, connection)

    def _living(self, tag: str, kind: str, about: About, period: str, connection: sa.Connection) -> str:
        known = self.directory.find(connection, tag)
        if known is not None:
            # Asked of the registry each time: what is sealed under a key that lives on in the cache alone is lost.
            if self._keys.object(known).state is not ObjectState.DESTROYED:
                return known
            self.directory.drop(connection, tag)  # a late value of a period that was destroyed
        made = self._make(about, period)
        stands = self.directory.put(connection, tag, kind=kind, place=self._place, period=period, object=made)
        if stands != made:
            self._keys.abandon_sealing(made, at=self._now())
            return stands
        self._keys.finish_sealing(made, sealed_size=0, digest=_NOTHING_SEALED, at=self._now())
        return made

    def _make(self, about: About, period: str) -> str:
        facts = Facts(
            record_type=self.criteria.record_type.id,
            location=self.location.name,
            store=self.location.store,
            trigger=last_trigger(self.criteria, about.trigger),
            # The object seals many rows, now and later: a hold on any time may be about one of them.
            span=Span(start=None, end=None),
            subject=about.subject,
            plaintext_since=about.plaintext_since,
        )
        new = self._keys.begin_sealing(facts, period=period, at=self._now())
        new.key.wipe()
        return new.id

    def _tag(self, index: str, *parts: str) -> str:
        """HMAC-SHA256 under the index key, as hex. Raises `KeyDestroyed`."""
        message = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))
        with self._cache.key(index) as key, key.subkey(_INDEX) as own:
            return hmac.new(own.reveal(), message, hashlib.sha256).hexdigest()
