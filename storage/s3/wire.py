"""The connection to one bucket: boto3 for what is asked once, plain signed requests for what is done with every object.

botocore takes 220 µs to read one line of a version listing and 50 µs to delete one version, nine tenths of it for models and
dictionaries nobody asked for. An address or a request signed by botocore, sent through its own HTTP session and read with expat, takes a
tenth (measured).

Refuses to write a log: at level DEBUG botocore and urllib3 log addresses and bodies, and keys are file names.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import boto3
import botocore.session
from botocore import exceptions as boto
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from retention.errors import StoreUnavailable
from storage.s3.failures import BUSY, answered, code_of, told, unanswered
from storage.s3.reading import unreadable

T = TypeVar("T")

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
TRIES = 5
"""How often a request is tried while the store is busy, with longer and longer pauses."""
CONNECTIONS = 24
LOOKS = 8
"""How many second listings run beside the first ones: as many as there are workers on a bucket."""
_NAMESPACE = b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a bucket is. Empty texts: as boto3 finds them itself (environment, profile, role of the machine).

    ``prefix``: what all keys of the store begin with, ending in a slash, or empty. ``addressing``: auto, path or virtual.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    addressing: str = "auto"
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    ca_bundle: Path | None = None


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error answer; its HTTP status where the body has none."""
        try:
            return self.xml().findtext("Code") or str(self.status)
        except StoreUnavailable:
            return str(self.status)

    def xml(self) -> ElementTree.Element:
        """The body without its namespace. Raises `StoreUnavailable` for what is not XML."""
        try:
            return ElementTree.fromstring(self.body.replace(_NAMESPACE, b"", 1))  # noqa: S314  # expat bounds entity expansion
        except (ElementTree.ParseError, ValueError):
            raise unreadable() from None


class Wire:
    """One bucket. Safe to use from several threads; connects when first asked."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.bucket = address.bucket
        self.leaps: bool | None = None
        """Whether the server's listings can begin anywhere (`storage.s3.listing`); ``None``: not known yet."""
        self._making = threading.Lock()
        self._client: Any = None
        self._session: Any = None
        self._beside: ThreadPoolExecutor | None = None
        for name in ("botocore", "boto3", "urllib3"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One operation of boto3's client on the bucket. Raises `StoreUnavailable`."""
        with told():
            return self._call(operation, parameters)

    def ask(self, operation: str, **parameters: Any) -> dict[str, Any] | str:
        """The same; an answer that is an error is given back as its code, so that the caller can tell them apart."""
        try:
            with told_unanswered():
                return self._call(operation, parameters)
        except boto.ClientError as error:
            return code_of(error)

    def get(self, operation: str, **parameters: Any) -> Answer:
        """A plain signed request for an operation that only reads. Tried again while the store is busy.

        Raises `StoreUnavailable` when it stays busy or does not answer; other errors are answers.
        """
        verb = "HEAD" if operation.startswith("head_") else "GET"
        # Signed anew each time: credentials may have been renewed.
        return self._send(lambda: AWSRequest(verb, self._presigned(operation, parameters)))

    def delete(self, versions: Iterable[tuple[str, str]]) -> Answer:
        """One request to delete up to a thousand versions, by key and id, quietly: only what failed is answered for.

        boto3 takes 50 µs for each of them, mostly to check what it writes. Raises as `get` does.
        """
        objects = "".join(
            f"<Object><Key>{escape(key)}</Key><VersionId>{escape(version)}</VersionId></Object>" for key, version in versions
        )  # fmt: skip
        body = f"<Delete{_NAMESPACE.decode()}><Quiet>true</Quiet>{objects}</Delete>".encode()
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        # Required by AWS, and by older servers that do not know the newer checksums.
        headers = {"Content-MD5": base64.b64encode(digest).decode(), "Content-Type": "application/xml"}
        url = urlsplit(self._presigned("list_object_versions", {}))._replace(query="delete").geturl()

        def signed() -> AWSRequest:
            request = AWSRequest("POST", url, headers=headers, data=body)
            credentials = self._credentials()
            S3SigV4Auth(credentials, "s3", self.client.meta.region_name).add_auth(request)
            return request

        return self._send(signed)

    def _send(self, make: Callable[[], Any]) -> Answer:
        for attempt in range(TRIES):
            pause(attempt)
            last = attempt == TRIES - 1
            with told_unanswered():
                try:
                    got = self.session.send(make().prepare())
                except (boto.EndpointConnectionError, boto.ConnectionClosedError):
                    if last:
                        raise
                    continue
            answer = Answer(got.status_code, got.headers, got.content)
            if answer.status < 400 or (answer.code not in BUSY and (answer.status < 500 or last)):
                return answer
        raise answered("SlowDown")

    def _presigned(self, operation: str, parameters: Mapping[str, Any]) -> str:
        url: str = self.client.generate_presigned_url(
            operation, Params={"Bucket": self.bucket, **parameters}, ExpiresIn=300
        )
        return url

    def _credentials(self) -> Any:
        made = _made(replace(self.address, bucket="", prefix=""))[1]
        if made is None:
            raise boto.NoCredentialsError
        return made.get_frozen_credentials()

    @property
    def client(self) -> Any:
        with self._making:
            if self._client is None:
                with told():
                    self._client = _made(replace(self.address, bucket="", prefix=""))[0]
            return self._client

    @property
    def session(self) -> Any:
        with self._making:
            if self._session is None:
                self._session = URLLib3Session(
                    verify=str(self.address.ca_bundle) if self.address.ca_bundle else True,
                    proxies=get_environ_proxies(self.address.endpoint or "https://s3.amazonaws.com"),
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                    max_pool_connections=CONNECTIONS,
                )
            return self._session

    def beside(self, work: Callable[[], T]) -> Future[T]:
        """Something that reads, while the caller reads something else: a look at many keys is two listings, and each is waited for."""
        with self._making:
            if self._beside is None:
                self._beside = ThreadPoolExecutor(LOOKS, thread_name_prefix="s3-look")
            return self._beside.submit(work)

    def close(self) -> None:
        with self._making:
            session, self._session = self._session, None
            beside, self._beside = self._beside, None
        if beside is not None:
            beside.shutdown()
        if session is not None:
            session.close()

    def _call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Tried again while the store is busy or cuts the line: every operation used here may be repeated. Never after a timeout."""
        for attempt in range(TRIES):
            pause(attempt)
            last = attempt == TRIES - 1
            try:
                done: dict[str, Any] = getattr(self.client, operation)(Bucket=self.bucket, **parameters)
            except boto.ClientError as error:
                if last or code_of(error) not in BUSY:
                    raise
            except (boto.EndpointConnectionError, boto.ConnectionClosedError):
                if last:
                    raise
            else:
                return done
        raise AssertionError("unreachable")


@contextmanager
def told_unanswered() -> Iterator[None]:
    """Requests without an answer leave the block as `StoreUnavailable`; answers that are errors stay boto3's."""
    try:
        yield
    except boto.BotoCoreError as error:
        raise unanswered(error) from None


def pause(attempt: int) -> None:
    """Before the given attempt (0 = the first: none). Not in step with others who were told to slow down."""
    if attempt:
        time.sleep(0.1 * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311  # not a secret


@lru_cache(maxsize=1)
def _models() -> Any:
    """What botocore knows of services, read once per process: a fifth of a second."""
    return botocore.session.get_session().get_component("data_loader")


@lru_cache(maxsize=8)
def _made(address: Address) -> tuple[Any, Any]:
    """A client and its credentials: safe to share between threads and stores, and a tenth of a second to make."""
    own = botocore.session.get_session()
    own.register_component("data_loader", _models())
    session = boto3.session.Session(
        botocore_session=own, aws_access_key_id=address.access_key or None, aws_secret_access_key=address.secret_key or None,
        aws_session_token=address.session_token or None, region_name=address.region or None,
    )  # fmt: skip
    config = Config(
        signature_version="s3v4", connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, max_pool_connections=CONNECTIONS,
        retries={"total_max_attempts": 1}, s3={"addressing_style": address.addressing},
        request_checksum_calculation="when_required", response_checksum_validation="when_required",
    )  # fmt: skip
    client = session.client(
        "s3", endpoint_url=address.endpoint or None, config=config,
        verify=str(address.ca_bundle) if address.ca_bundle else None, region_name=address.region or session.region_name or "us-east-1",
    )  # fmt: skip
    return client, session.get_credentials()
