"""What PostgreSQL and MariaDB have in common: a directory, an account, a port, a process. Refuses to run a server as root."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 90.0
STOP_SECONDS = 30.0
PORTS_TRIED = 3


class ServerUnavailable(Exception):
    """No such server can be had on this machine; the message says what to install."""


class ServerFailed(Exception):
    """The server is there and does not start; the message carries the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Home:
    """The directory of one server and the account it runs under (empty: the account of the tests)."""

    directory: Path
    account: str

    def run(self, command: list[str]) -> str:
        """Run a preparing command in the directory, as the account; give what it printed. Raises ServerFailed."""
        done = subprocess.run(
            command,
            check=False,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=self.account or None,
            group=pwd.getpwnam(self.account).pw_gid if self.account else None,
            extra_groups=[] if self.account else None,
            env=os.environ | {"HOME": str(self.directory), "LC_ALL": "C", "TZ": "UTC"},
        )
        if done.returncode != 0:
            raise ServerFailed(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}")
        return done.stdout

    def version(self, program: Path) -> str:
        """What ``program --version`` prints; empty when the account cannot reach or run it."""
        try:
            return self.run([str(program), "--version"])
        except (OSError, ServerFailed):
            return ""

    def log(self) -> str:
        path = self.directory / "log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else "(no log)"


def unprivileged(*preferred: str) -> str:
    """The account a server started by root runs under: the first of ``preferred`` there is, else nobody."""
    if os.geteuid() != 0:
        return ""
    accounts = {entry.pw_name for entry in pwd.getpwall()}
    for name in (*preferred, "nobody"):
        if name in accounts:
            return name
    raise ServerUnavailable("a server must not run as root, and there is no account 'nobody' to run it under")


@contextlib.contextmanager
def home(kind: str, account: str) -> Iterator[Home]:
    """A directory of its own for one server, removed afterwards. The path is short: a socket's may have 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
    try:
        if account:
            shutil.chown(directory, account)
        yield Home(directory=directory, account=account)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(
    place: Home,
    command: Callable[[int], list[str]],
    ready: Callable[[int], bool],
    stop_signal: signal.Signals,
) -> Iterator[int]:
    """Start the server and give its loopback port; stop it afterwards. Raises ServerFailed.

    Another program can take a free port before the server does, so a start that fails is tried on a second and third.
    """
    for attempt in range(1, PORTS_TRIED + 1):
        port = free_port()
        keeper = _start(place, command(port), stop_signal)
        try:
            try:
                _wait_until(lambda port=port: ready(port), keeper, place)  # type: ignore[misc]
            except ServerFailed:
                if attempt == PORTS_TRIED or keeper.poll() is None:
                    raise
                continue
            yield port
            return
        finally:
            _stop(keeper)


def _start(place: Home, command: list[str], stop_signal: signal.Signals) -> subprocess.Popen[bytes]:
    keeper = Path(__file__).with_name("keeper.py")
    return subprocess.Popen(
        [
            sys.executable,
            "-I",
            str(keeper),
            str(place.directory),
            place.account,
            str(int(stop_signal)),
            *command,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"HOME": str(place.directory), "LC_ALL": "C", "TZ": "UTC"},
    )


def _wait_until(ready: Callable[[], bool], keeper: subprocess.Popen[bytes], place: Home) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if ready():
            return
        if keeper.poll() is not None:
            raise ServerFailed(f"the server ended with {keeper.returncode} while starting:\n{place.log()}")
        time.sleep(0.05)
    raise ServerFailed(f"the server did not answer within {START_SECONDS:.0f} s:\n{place.log()}")


def _stop(keeper: subprocess.Popen[bytes]) -> None:
    if keeper.stdin is not None:
        keeper.stdin.close()
    try:
        keeper.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()
