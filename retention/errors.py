"""One error tree for the whole product.

Every error says what is wrong in one line, gives a remedy in ``hint``, and carries the exit code of its cause.
No error quotes a record's content: messages may hold names from the schedule, opaque ids and counts, nothing else.
"""

from __future__ import annotations

from typing import ClassVar


class RetentionError(Exception):
    """Root of all errors of this product.

    ``exit_code``: what the command line ends with. ``retryable``: whether the same call may succeed later unchanged.
    Arguments go to ``super().__init__`` so that errors survive pickling between processes.
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UsageError(RetentionError):
    """The call itself is wrong: unknown name, impossible combination (exit 2)."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is missing or wrong: no address for a store, unreadable secrets directory (exit 2)."""


class ScheduleInvalid(RetentionError):
    """The retention schedule has problems; nothing runs under it (exit 4)."""

    exit_code = 4


class Refused(RetentionError):
    """A rule forbids it: hold, brake, missing approval, running elsewhere. Nothing was destroyed (exit 5)."""

    exit_code = 5


class VerificationFailed(RetentionError):
    """A certificate, a manifest or the ledger's chain does not verify (exit 6)."""

    exit_code = 6


class SealedUnreadable(VerificationFailed):
    """A sealed file or value is not what was sealed: changed, cut off, exchanged, or opened with another key (exit 6)."""


class Unavailable(RetentionError):
    """Something we need is not there now (exit 7)."""

    exit_code = 7
    retryable = True


class LedgerUnavailable(Unavailable):
    """The ledger is locked, read-only, missing or of another version. No ledger, no destruction."""


class StoreUnavailable(Unavailable):
    """A store does not answer, or answered with an error before anything was certain."""


class KeyStoreUnavailable(StoreUnavailable):
    """The key store, or the root that opens it, is not there now: locked, missing, restored, refused by the KMS."""


class KeyDestroyed(Refused):
    """The key was destroyed on purpose: nothing in the world opens this object any more."""


class KeyUnreadable(VerificationFailed):
    """The key is registered as living, but what the key store holds does not open: damaged, swapped, or of another root."""
