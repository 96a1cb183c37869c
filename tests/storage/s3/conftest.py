"""Buckets of one test each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.storage.s3.buckets import Bucket
from tests.storage.s3.disturbed import Line, line_to


@pytest.fixture
def bucket(localstack_endpoint: str) -> Bucket:
    """A versioned bucket on a server that behaves as AWS does, as far as it was probed."""
    return Bucket(localstack_endpoint, prefix="library/")


@pytest.fixture
def plain(moto_endpoint: str) -> Bucket:
    """A bucket without versioning, on the quick server."""
    return Bucket(moto_endpoint, versioned=False)


@pytest.fixture
def locked(localstack_endpoint: str) -> Bucket:
    """A bucket with Object Lock. LocalStack only: moto lets locks be shortened and taken off."""
    return Bucket(localstack_endpoint, versioned="locked")


@pytest.fixture
def line(localstack_endpoint: str) -> Iterator[Line]:
    """A line to LocalStack that can be disturbed."""
    with line_to(localstack_endpoint) as made:
        yield made
