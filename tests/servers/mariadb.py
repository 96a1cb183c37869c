"""A MariaDB server of our own, from the system's binaries; refuses to touch the system's server and its data."""

import contextlib
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pymysql

from tests.servers.process import ServerUnavailable, home, serving, unprivileged

ADMIN = "retention"
SEARCHED = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


@dataclass(frozen=True, kw_only=True)
class MariadbServer:
    """A running server. Anyone on this machine may connect without a password: it holds invented records only."""

    port: int
    path: Path

    def url(self, database: str) -> str:
        """The SQLAlchemy address of one database."""
        return f"mariadb+pymysql://{ADMIN}@127.0.0.1:{self.port}/{database}?charset=utf8mb4"

    def create_database(self, name: str) -> str:
        """Make an empty database and give its SQLAlchemy address."""
        self.administer(f"CREATE DATABASE `{name}`")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop the database, ending the connections a test has left open: their locks would make the drop wait."""
        left = "SELECT id FROM information_schema.processlist WHERE db = %s"
        with contextlib.closing(connect(self.path)) as connection, connection.cursor() as cursor:
            cursor.execute(left, (name,))
            for (number,) in cursor.fetchall():
                with contextlib.suppress(pymysql.err.OperationalError):  # it has left by itself meanwhile
                    cursor.execute(f"KILL CONNECTION {int(number)}")
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def administer(self, *statements: str) -> None:
        with contextlib.closing(connect(self.path)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def connect(path: Path) -> "pymysql.Connection[pymysql.cursors.Cursor]":
    return pymysql.connect(unix_socket=str(path), user="root", autocommit=True, connect_timeout=5)


def program(name: str) -> str:
    found = shutil.which(name, path=SEARCHED)
    if found is None:
        raise ServerUnavailable(f"no MariaDB here ({name} not found): apt-get install mariadb-server")
    return found


@contextlib.contextmanager
def mariadb() -> Iterator[MariadbServer]:
    """A running server, stopped and removed afterwards. Raises ServerUnavailable and ServerFailed."""
    install, daemon = program("mariadb-install-db"), program("mariadbd")
    with home("my", unprivileged("mysql")) as place:
        data, path = place.directory / "data", place.directory / "socket"
        place.run([
            install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
            "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=16M",
        ])  # fmt: skip

        def command(port: int) -> list[str]:
            return [
                daemon,
                "--no-defaults",
                f"--datadir={data}",
                f"--socket={path}",
                f"--pid-file={place.directory / 'pid'}",
                f"--port={port}",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--skip-log-bin",
                "--performance-schema=OFF",
                "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_unicode_ci",
                "--default-time-zone=+00:00",
                "--innodb-buffer-pool-size=64M",
                "--innodb-log-file-size=16M",
                "--innodb-use-native-aio=0",  # containers often have no asynchronous I/O to give
                "--debug-no-sync",  # the machine's power cut is not what these tests are about
            ]

        with serving(place, command, lambda _port: answers(path), signal.SIGTERM) as port:
            server = MariadbServer(port=port, path=path)
            # Named hosts too: an anonymous account at one of them would otherwise be preferred to '%'.
            for host in ("%", "localhost", "127.0.0.1"):
                server.administer(
                    f"CREATE OR REPLACE USER {ADMIN}@'{host}'",
                    f"GRANT ALL PRIVILEGES ON *.* TO {ADMIN}@'{host}' WITH GRANT OPTION",
                )
            yield server


def answers(path: Path) -> bool:
    # Asked without PyMySQL first: it does not close a socket it could not connect.
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) != 0:
            return False
    try:
        connect(path).close()
    except pymysql.err.OperationalError:
        return False
    return True
