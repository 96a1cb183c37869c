"""Who consents, as the store that records it says at one moment: asked by those whose rows would go otherwise.

Refuses to take silence for a withdrawal. A record of consent with nobody in it, one that names nobody, or one that knows none of the
people it is asked for is far more likely a wrong table, a restore that is not done, or ids of another kind than everybody's
withdrawal: each of them ends the work with nothing destroyed. No list of people is kept: only keyed digests, in memory, under a key
of that moment. Two people with one digest would keep each other's rows, never take them away.
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Protocol

from retention.errors import StoreUnavailable
from retention.schedule import ConsentRecord

Stretch = Sequence[tuple[str | None, bool]]
"""People, with whether they surely consent (else: nobody can tell)."""


class Consents(Protocol):
    """Who consents, at one moment."""

    def given(self, subject: str) -> bool | None:
        """Whether the person consents; ``None``: nobody can tell."""
        ...

    def require_met(self, location: str) -> None:
        """After a whole look through a location. Raises `StoreUnavailable` when none of the people asked for was known."""
        ...


class Unasked:
    """Where there is nobody to ask: no answer ever."""

    def given(self, subject: str) -> bool | None:
        return None

    def require_met(self, location: str) -> None:
        return


class Recorded:
    """What a store recorded. Memory: 16 bytes a person while it is read, 8 afterwards.

    Raises `StoreUnavailable` for a record that nobody consents in, or in which a consent names nobody.
    """

    def __init__(self, record: ConsentRecord, stretches: Iterable[Stretch]) -> None:
        self._record = record
        self._key = secrets.token_bytes(16)
        self._asked = self._met = 0
        consenting, unclear = array("Q"), array("Q")
        for stretch in stretches:
            for subject, surely in stretch:
                if subject is None or not subject.strip():
                    raise self._untrusted(
                        "a consent in it names nobody", "mend that row, or leave it out with when"
                    )
                (consenting if surely else unclear).append(self._digest(subject))
        if not consenting:
            raise self._untrusted(
                "nobody consents there",
                "see whether table and condition are right, and whether the store is whole; who withdrew is noted with retention export withdraw",
            )
        self._consenting, self._unclear = (array("Q", sorted(people)) for people in (consenting, unclear))

    def __len__(self) -> int:
        """How many records say that somebody consents."""
        return len(self._consenting)

    def given(self, subject: str) -> bool | None:
        digest = self._digest(subject)
        self._asked += 1
        surely = _among(self._consenting, digest)
        unclear = not surely and _among(self._unclear, digest)
        self._met += surely or unclear
        return None if unclear else surely

    def require_met(self, location: str) -> None:
        if self._asked and not self._met:
            raise self._untrusted(
                f"it knows nobody of those in the rows of {location}",
                f"compare {self._record.subject} with the subject of the exports; who withdrew is noted with retention export withdraw",
            )

    def _digest(self, subject: str) -> int:
        # Wide, since it only ever keeps: whatever may be the same person consents.
        plain = alike(subject).encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(plain, digest_size=8, key=self._key).digest())

    def _untrusted(self, what: str, hint: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"the record of consent {self._record.store}/{self._record.table}: {what}", hint
        )


def alike(subject: str) -> str:
    """A person's number without what spreadsheets, programs and people lose of it or add to it: zeros in front, case, spaces around it,
    the ".0" of a column of whole numbers with gaps, and compatible letters."""
    plain = subject if subject.isascii() else unicodedata.normalize("NFKC", subject)
    return plain.strip().removesuffix(".0").casefold().lstrip("0")


def _among(people: array[int], digest: int) -> bool:
    at = bisect_left(people, digest)
    return at < len(people) and people[at] == digest
