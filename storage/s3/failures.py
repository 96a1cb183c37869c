"""What went wrong at the store, in our words. Never the store's own: its messages quote keys, and keys are file names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto

from retention.errors import StoreUnavailable

_PLAIN = re.compile(r"[A-Za-z][A-Za-z.]{0,59}")

BUSY = frozenset({
    "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "RequestLimitExceeded", "Throttling", "ThrottlingException",
    "TooManyRequests", "OperationAborted", "500", "502", "503", "504",
})  # fmt: skip
"""Answers after which the same request may succeed a moment later."""

_TOLD: dict[str, tuple[str, str]] = {
    "NoSuchBucket": ("the bucket does not exist", "see its name and its account in the settings of the store"),
    "AccessDenied": (
        "the store refuses: a permission is missing",
        "give the program's user the permissions of docs/stores-s3.md",
    ),
    "InvalidAccessKeyId": ("the store does not know the access key", "correct the credentials of the store"),
    "SignatureDoesNotMatch": ("the store does not accept the secret key", "correct the credentials of the store"),
    "InvalidToken": ("the store does not accept the session token", "correct the credentials of the store"),
    "ExpiredToken": (
        "the credentials of the store have expired",
        "renew them and run again: what was begun goes on",
    ),
    "RequestTimeTooSkewed": (
        "the store refuses our clock: it differs by more than fifteen minutes",
        "set the clock of this machine, or of the store, right",
    ),
    "PermanentRedirect": ("the bucket is in another region", "set the region of the store"),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", "set the region of the store"),
}  # fmt: skip
_TOLD["AllAccessDisabled"] = _TOLD["Forbidden"] = _TOLD["403"] = _TOLD["AccessDenied"]
_TOLD["404"] = _TOLD["NoSuchBucket"]
_TOLD["TokenRefreshRequired"] = _TOLD["ExpiredTokenException"] = _TOLD["ExpiredToken"]
_TOLD["301"] = _TOLD["IllegalLocationConstraintException"] = _TOLD["PermanentRedirect"]


def answered(code: str) -> StoreUnavailable:
    """The error for a code that the store answered with."""
    if code in BUSY:
        return StoreUnavailable(
            "the store is overloaded: it asked again and again for patience",
            "run again later, or with fewer workers",
        )
    message, hint = _TOLD.get(code, ("", ""))
    if not message:
        message = f"the store answered with {code if _PLAIN.fullmatch(code) else 'an error'}"
        hint = "look up this answer in the manual of the store"
    return StoreUnavailable(message, hint)


def code_of(error: boto.ClientError) -> str:
    """The code of an answer; its HTTP status where there is none."""
    return str(error.response.get("Error", {}).get("Code", "")) or str(
        error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    )


def unanswered(error: boto.BotoCoreError) -> StoreUnavailable:
    """The error for a request without an answer."""
    if isinstance(
        error, (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
    ):
        return StoreUnavailable(
            "there are no credentials for the store",
            "set ACCESS_KEY and SECRET_KEY of the store; a bucket of no store needs what AWS's own tools find: environment, profile, role",
        )
    if isinstance(error, boto.SSLError):
        return StoreUnavailable(
            "the store's TLS certificate is not trusted", "set CA_BUNDLE of the store to its authority"
        )
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError)):
        return StoreUnavailable("the store does not answer", "see whether its endpoint can be reached")
    return StoreUnavailable(
        f"the store cannot be asked ({type(error).__name__})", "look at the settings of the store"
    )


@contextmanager
def told() -> Iterator[None]:
    """Errors of boto3 leave the block as `StoreUnavailable`, without what they quote."""
    try:
        yield
    except boto.ClientError as error:
        raise answered(code_of(error)) from None
    except boto.BotoCoreError as error:
        raise unanswered(error) from None
