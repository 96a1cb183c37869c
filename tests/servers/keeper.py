"""Keeps one server alive for as long as its test run lives, and no longer.

Runs as a process of its own between the tests and the server. The tests hold the other end of its standard input: when
they end, in whatever way (kill -9 too), that end closes, and the server is stopped and its directory removed.
"""

import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

STOP_SECONDS = 20.0


def keep(directory: Path, account: str, stop_signal: signal.Signals, command: list[str]) -> int:
    """Run ``command`` as ``account`` (empty: as we are) until standard input closes; give the server's exit code."""
    with (directory / "log").open("ab") as log:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            user=account or None,
            group=primary_group(account),
            extra_groups=[] if account else None,
            start_new_session=True,
        )
    while server.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], 0.1)
        if readable and os.read(sys.stdin.fileno(), 1) == b"":
            return stop(server, directory, stop_signal)
    return server.returncode


def stop(server: subprocess.Popen[bytes], directory: Path, stop_signal: signal.Signals) -> int:
    server.send_signal(stop_signal)
    try:
        code = server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        code = server.wait()
    shutil.rmtree(directory, ignore_errors=True)
    return code


def primary_group(account: str) -> int | None:
    return pwd.getpwnam(account).pw_gid if account else None


if __name__ == "__main__":
    # A terminal's Ctrl-C reaches the whole process group; the tests close our input when they are done cleaning up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(keep(Path(sys.argv[1]), sys.argv[2], signal.Signals(int(sys.argv[3])), sys.argv[4:]))
