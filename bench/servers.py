"""Database servers of our own with the settings of a real one: every commit is on the disk before it is answered."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.servers import mariadb as mariadb_parts
from tests.servers import postgresql as postgresql_parts
from tests.servers.mariadb import ADMIN, MariadbServer
from tests.servers.postgresql import PostgresqlServer
from tests.servers.process import Home, home, serving, unprivileged

POSTGRESQL = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "effective_cache_size": "2GB",
    "maintenance_work_mem": "256MB",
    "work_mem": "16MB",
    "max_wal_size": "4GB",
    "random_page_cost": "1.1",
    "max_connections": "60",
    "timezone": "UTC",
    "log_min_messages": "fatal",
}
MARIADB = (
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_unicode_ci",
    "--default-time-zone=+00:00",
    "--innodb-buffer-pool-size=1G",
    "--innodb-log-file-size=512M",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-use-native-aio=0",  # containers often have no asynchronous I/O to give
    "--performance-schema=OFF",
)


@contextlib.contextmanager
def postgresql() -> Iterator[PostgresqlServer]:
    """A running server with ``POSTGRESQL``. Raises ServerUnavailable and ServerFailed."""
    with home("pgb", unprivileged("postgres")) as place:
        directory = postgresql_parts.programs(place)
        data = place.directory / "data"
        place.run([
            str(directory / "initdb"), "--pgdata", str(data), "--username", postgresql_parts.ADMIN, "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C",
        ])  # fmt: skip

        def command(port: int) -> list[str]:
            settings = POSTGRESQL | {
                "listen_addresses": "127.0.0.1",
                "port": str(port),
                "unix_socket_directories": str(place.directory),
            }
            options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            return [str(directory / "postgres"), "-D", str(data), *options]

        with serving(place, command, postgresql_parts.answers, signal.SIGINT) as port:
            yield PostgresqlServer(port=port)


def plain(url: str) -> str:
    """A SQLAlchemy address as the driver itself takes it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def copied(server: PostgresqlServer, template: str, name: str) -> str:
    """A fresh copy of a database, with everything on the disk. Gives its address."""
    server.drop_database(name)
    with postgresql_parts.connect(server.port) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        connection.execute("CHECKPOINT")
    return server.url(name)


def version_of(url: str) -> str:
    with psycopg.connect(plain(url)) as connection:
        return str(connection.info.server_version)


@dataclass(frozen=True, kw_only=True)
class MariadbData:
    """A MariaDB data directory that is filled once and copied for each round, since a server can copy no database."""

    original: Home

    @contextlib.contextmanager
    def filling(self) -> Iterator[MariadbServer]:
        """A server on the original, to fill it."""
        with _mariadb(self.original.directory / "data", self.original) as server:
            yield server

    @contextlib.contextmanager
    def fresh(self) -> Iterator[MariadbServer]:
        """A server on a copy of what was filled in; the copy goes with it."""
        with home("myr", unprivileged("mysql")) as copy:
            copy.run(["cp", "-a", str(self.original.directory / "data"), str(copy.directory)])
            copy.run(["sync"])
            with _mariadb(copy.directory / "data", copy) as server:
                yield server


@contextlib.contextmanager
def mariadb() -> Iterator[MariadbData]:
    """An empty data directory. Raises ServerUnavailable and ServerFailed."""
    with home("myb", unprivileged("mysql")) as original:
        original.run([
            mariadb_parts.program("mariadb-install-db"), "--no-defaults", f"--datadir={original.directory / 'data'}",
            "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
        ])  # fmt: skip
        yield MariadbData(original=original)


@contextlib.contextmanager
def _mariadb(data: Path, owner: Home) -> Iterator[MariadbServer]:
    with home("mys", owner.account) as place:  # the server's keeper removes this one
        path = place.directory / "socket"

        def command(port: int) -> list[str]:
            return [
                mariadb_parts.program("mariadbd"), "--no-defaults", f"--datadir={data}", f"--socket={path}",
                f"--pid-file={place.directory / 'pid'}", f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve",
                *MARIADB,
            ]  # fmt: skip

        with serving(place, command, lambda _port: mariadb_parts.answers(path), signal.SIGTERM) as port:
            server = MariadbServer(port=port, path=path)
            for host in ("%", "localhost", "127.0.0.1"):
                server.administer(
                    f"CREATE OR REPLACE USER {ADMIN}@'{host}'",
                    f"GRANT ALL PRIVILEGES ON *.* TO {ADMIN}@'{host}' WITH GRANT OPTION",
                )
            yield server
