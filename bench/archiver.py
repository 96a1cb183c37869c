"""pt-archiver of Percona Toolkit: what library systems on MariaDB are purged with where somebody takes care. The peer, at its best."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

from tests.servers.mariadb import ADMIN, MariadbServer

PROGRAM = "pt-archiver"
BULK = ("--bulk-delete", "--limit", "5000", "--commit-each")


class ArchiverMissing(Exception):
    """It is not here and cannot be installed; the message says why."""


def require() -> str:
    """Install it where that can be done (Debian's percona-toolkit, as root). Gives its version. Raises `ArchiverMissing`."""
    if shutil.which(PROGRAM) is None:
        apt = shutil.which("apt-get")
        if apt is None or os.geteuid() != 0:
            raise ArchiverMissing("pt-archiver is not here; as root: apt-get install percona-toolkit")
        done = subprocess.run(
            [apt, "install", "-y", "-q", "percona-toolkit"], check=False, capture_output=True, text=True,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
        if done.returncode != 0 or shutil.which(PROGRAM) is None:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise ArchiverMissing(
                f"percona-toolkit could not be installed: {last[-1] if last else 'apt-get failed'}"
            )
    told = subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True)
    return told.stdout.split()[-1]


def purge(server: MariadbServer, database: str, due: str, *options: str) -> float:
    """Delete the circulations that are due, their notices first, and give the seconds it took."""
    began = time.monotonic()
    _archive(server, database, "notice", f"circulation IN (SELECT id FROM circulation WHERE {due})", options)
    _archive(server, database, "circulation", due, options)
    return time.monotonic() - began


def _archive(server: MariadbServer, database: str, table: str, where: str, options: tuple[str, ...]) -> None:
    source = f"h=127.0.0.1,P={server.port},u={ADMIN},D={database},t={table}"
    done = subprocess.run(
        [PROGRAM, "--no-version-check", "--source", source, "--purge", "--where", where, "--no-check-charset", *options],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise ArchiverMissing(f"pt-archiver failed: {done.stderr.strip()[-400:]}")
