"""Time stamps from an authority (RFC 3161 over HTTP), so that a signature shows it existed at a time the library does not set itself.

Sends the digest of a signature and nothing else. Refuses to sign without the stamp when one was asked for.
"""

from __future__ import annotations

import asyncio
from http.client import HTTPException
from urllib.request import Request, urlopen

from asn1crypto import cms, tsp
from pyhanko.sign.timestamps import TimeStamper
from pyhanko.sign.timestamps.common_utils import TimestampRequestError

from retention.errors import Unavailable

SECONDS = 20.0
MAX_ANSWER = 64 * 1024


class HttpTimeStamper(TimeStamper):
    """``url``: the authority's address, http or https (see `flows.settings`)."""

    def __init__(self, url: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # pyHanko has no types here
        self._url = url

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        """Raises `Unavailable` when no good answer comes."""
        try:
            return await super().async_timestamp(message_digest, md_algorithm)
        except (TimestampRequestError, HTTPException, OSError, ValueError, TypeError, KeyError) as error:
            raise Unavailable(
                f"the time stamping authority gave no time stamp: {type(error).__name__}",
                "try again later, or leave RETENTION_TSA_URL out",
            ) from None

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        return tsp.TimeStampResp.load(await asyncio.to_thread(self._post, req.dump()))

    def _post(self, query: bytes) -> bytes:
        request = Request(self._url, query, {"Content-Type": "application/timestamp-query"})  # noqa: S310  # settings admit http and https only
        with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310  # see above
            return bytes(answer.read(MAX_ANSWER))
