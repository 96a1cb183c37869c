"""The servers behind the tests are real, new enough, and each test gets an empty database of its own."""

import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool


def scalar(url: str, query: str) -> object:
    engine = sa.create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return connection.execute(sa.text(query)).scalar_one()


@pytest.mark.postgresql
def test_postgresql_is_15_or_later_and_commits_synchronously(postgresql_url: str) -> None:
    version = scalar(postgresql_url, "SELECT current_setting('server_version_num')")
    assert int(str(version)) >= 150_000
    assert scalar(postgresql_url, "SHOW synchronous_commit") == "on"
    assert scalar(postgresql_url, "SHOW server_encoding") == "UTF8"


@pytest.mark.mariadb
def test_mariadb_is_10_6_or_later_and_speaks_full_unicode(mariadb_url: str) -> None:
    engine = sa.create_engine(mariadb_url, poolclass=NullPool)
    with engine.connect() as connection:
        assert engine.dialect.server_version_info is not None
        assert tuple(engine.dialect.server_version_info[:2]) >= (10, 6)
        assert connection.execute(sa.text("SELECT @@character_set_database")).scalar_one() == "utf8mb4"
        assert connection.execute(sa.text("SELECT '\N{OPEN BOOK}'")).scalar_one() == "\N{OPEN BOOK}"


@pytest.mark.postgresql
@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_an_empty_postgresql_database(postgresql_url: str, turn: int) -> None:
    engine = sa.create_engine(postgresql_url, poolclass=NullPool)
    with engine.begin() as connection:
        assert sa.inspect(connection).get_table_names() == []
        connection.execute(sa.text("CREATE TABLE patron (id int primary key)"))


@pytest.mark.mariadb
@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_an_empty_mariadb_database(mariadb_url: str, turn: int) -> None:
    engine = sa.create_engine(mariadb_url, poolclass=NullPool)
    with engine.begin() as connection:
        assert sa.inspect(connection).get_table_names() == []
        connection.execute(sa.text("CREATE TABLE patron (id int primary key) ENGINE=InnoDB"))


@pytest.mark.postgresql
@pytest.mark.usefixtures("postgresql_server")
def test_a_server_does_not_outlive_a_test_run_that_was_killed() -> None:
    script = textwrap.dedent("""
        import os, signal
        from tests.servers.postgresql import postgresql
        with postgresql() as server:
            print(server.port, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True, check=False, timeout=120
    )
    port = int(done.stdout)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not listening(port):
            return
        time.sleep(0.1)
    pytest.fail("the server still answers 30 s after its test run was killed")


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
