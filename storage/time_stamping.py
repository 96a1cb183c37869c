"""Has checkpoints of the log time-stamped by the authority of the settings (RFC 3161). The one place here that goes out to the net.

Sends a digest and nothing else. Refuses what does not come back as a stamp over that checkpoint; whose word it is, the
verifier decides. An authority that does not answer stops nothing: the next run asks again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from urllib.error import URLError
from urllib.request import Request, urlopen

from retention.checkpoint import Opened
from retention.errors import Unavailable, VerificationFailed
from retention.log_files import MAX_STAMP, STAMPS
from retention.time_stamp import answers, decoded, request
from storage.log_places import LogPlace

SECONDS = 20.0
Ask = Callable[[bytes], bytes]
"""Takes a request to an authority, gives its answer. Raises `Unavailable`."""


def over_http(url: str) -> Ask:
    """The authority at an address. The address comes from the settings, which take http and https only."""

    def ask(query: bytes) -> bytes:
        sent = Request(url, query, {"Content-Type": "application/timestamp-query"})  # noqa: S310  # see above
        try:
            with urlopen(sent, timeout=SECONDS) as answer:  # noqa: S310  # see above
                data: bytes = answer.read(MAX_STAMP + 1)
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            told = (
                os.strerror(reason.errno)
                if isinstance(reason, OSError) and reason.errno
                else type(reason).__name__
            )
            raise Unavailable(
                f"the time-stamping authority does not answer: {told}", "see RETENTION_TSA_URL"
            ) from None
        return data

    return ask


def stamp(files: LogPlace, opened: Opened, ask: Ask) -> bool:
    """Have a checkpoint stamped and keep both beside the tiles. Returns whether that was still to be done.

    Raises `Unavailable` when no stamp was to be had.
    """
    size = opened.root.size
    if files.read(f"{STAMPS}/{size}.tsr", MAX_STAMP) is not None:
        return False
    asked = request(opened.stamped)
    data = ask(asked.as_bytes())
    try:
        granted = len(data) <= MAX_STAMP and answers(decoded(data), asked)
    except (VerificationFailed, ValueError):  # a refusal has no content to look into
        granted = False
    if not granted:
        raise Unavailable("the time-stamping authority gave no stamp", "see RETENTION_TSA_URL")
    files.write(f"{STAMPS}/{size}.checkpoint", opened.stamped)
    files.write(f"{STAMPS}/{size}.tsr", data)
    return True
