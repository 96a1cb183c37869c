"""What every test may ask for: a database of its own on a real server. Refuses to leave a server out silently."""

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from tests.servers.mariadb import MariadbServer, mariadb
from tests.servers.postgresql import PostgresqlServer, postgresql
from tests.servers.process import ServerUnavailable

# Before Prefect is imported anywhere: an offline site, and the tests, must be quiet.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

# How long one example takes says more about the machine than about the code.
settings.register_profile("retention", deadline=None, print_blob=True)
settings.load_profile("retention")

LEFT_OUT = "left out, "
Server = TypeVar("Server")


def running(server: AbstractContextManager[Server], stack: ExitStack) -> Server:
    """Start the server for the session. Without it: a failure in CI, elsewhere a skip that says what to install."""
    try:
        return stack.enter_context(server)
    except ServerUnavailable as error:
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail(f"CI must have this server: {error}", pytrace=False)
        pytest.skip(f"{LEFT_OUT}{error}")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server of this session's own (with xdist: of this worker's own)."""
    with ExitStack() as stack:
        yield running(postgresql(), stack)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """A MariaDB server of this session's own (with xdist: of this worker's own)."""
    with ExitStack() as stack:
        yield running(mariadb(), stack)


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """The SQLAlchemy address of an empty PostgreSQL database, dropped after the test."""
    name = database_name()
    yield postgresql_server.create_database(name)
    postgresql_server.drop_database(name)


@pytest.fixture
def mariadb_url(mariadb_server: MariadbServer) -> Iterator[str]:
    """The SQLAlchemy address of an empty MariaDB database, dropped after the test."""
    name = database_name()
    yield mariadb_server.create_database(name)
    mariadb_server.drop_database(name)


def database_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


@pytest.fixture(autouse=True, scope="session")
def _prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Prefect keeps its database and profiles in a directory of the test run, not in the home of whoever runs it."""
    path = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(path))
        yield path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were left out for want of a server or a program, and what to install."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.getreports("skipped"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if LEFT_OUT in reason:
            told = reason.split(LEFT_OUT, 1)[1]
            reasons[told] = reasons.get(told, 0) + 1
    if not reasons:
        terminalreporter.write_line("Left out for want of a server or a program: nothing")
    for told, count in sorted(reasons.items()):
        terminalreporter.write_line(f"LEFT OUT: {count} tests, {told}", yellow=True)
