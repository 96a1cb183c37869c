"""A Prefect server of our own beside the flows, for sites that run none: on this machine only, its log in a file.

Imports nothing of Prefect: the server is another process, so that it can start while this one does something useful.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from retention.errors import Unavailable

ADDRESS = "127.0.0.1"
STARTING_SECONDS = 300.0
STOPPING_SECONDS = 10.0


class PrefectServer:
    """Starts when made (see `wait`), ends with its context. ``home``: Prefect's home; the server's database lies there.

    ``scheduling``: also run the services that turn schedules into runs; without, it only keeps the runs made by us.
    Everyone with an account on this machine can reach it; see `docs/flows.md` for a password.
    """

    def __init__(self, home: Path, *, scheduling: bool = True) -> None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._log = home / "server.log"
        self._port = _free_port()
        environment = {
            **os.environ,
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_UI_ENABLED": "false",
            "PREFECT_UI_ENABLED": "false",
        }
        environment.pop("PREFECT_API_URL", None)
        if not scheduling:
            environment["PREFECT__SERVER_EPHEMERAL"] = "1"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", "--host", ADDRESS,
                 "--port", str(self._port), "--log-level", "error", "--lifespan", "on"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=home, start_new_session=True,
            )  # fmt: skip

    @property
    def url(self) -> str:
        """What ``PREFECT_API_URL`` is to be."""
        return f"http://{ADDRESS}:{self._port}/api"

    def wait(self, patience: float = STARTING_SECONDS) -> None:
        """Return when it answers. Raises `Unavailable` when it ended or does not answer in time (seconds)."""
        direct = build_opener(ProxyHandler({}))
        deadline = time.monotonic() + patience
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with direct.open(f"{self.url}/health", timeout=10) as answer:
                    if answer.status == 200:
                        return
            except (URLError, OSError):
                time.sleep(0.2)
        raise Unavailable(
            "Prefect's server did not start", f"its log: {self._log}; without it: retention run --execute"
        )

    def stop(self) -> None:
        """End it, gently first. May be called twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOPPING_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])
