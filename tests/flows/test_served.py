"""`retention serve flows` for real: a schedule becomes a run, and the run ends well. Without it no night would ever come."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from flows.settings import Settings

PATIENCE = 300.0
"""Seconds: the server's first start, the next full minute, the run's own process."""


def states(database: Path) -> set[str]:
    """States of the runs that the scheduler made by itself and that have begun."""
    if not database.is_file():
        return set()
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "select state_type from flow_run where auto_scheduled and start_time is not null"
            )
            return {row[0] for row in rows}
    except sqlite3.OperationalError:  # the tables are being made
        return set()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("prefect")
def test_a_served_schedule_becomes_a_run_that_ends_well(library: Settings, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment["RETENTION_REMIND"] = "* * * * *"
    command = [str(Path(sys.executable).with_name("retention")), "serve", "flows"]
    database = tmp_path / "state" / "prefect" / "prefect.db"
    with (
        (tmp_path / "served.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as service,
    ):
        deadline = time.monotonic() + PATIENCE
        while "COMPLETED" not in states(database) and service.poll() is None and time.monotonic() < deadline:
            time.sleep(1)
        found = states(database)
        service.send_signal(signal.SIGINT)
        try:
            service.wait(90)
        finally:
            service.kill()  # one that does not end must not hold up whoever waits for it
    assert "COMPLETED" in found, (tmp_path / "served.log").read_text(encoding="utf-8")
    assert "FAILED" not in found
