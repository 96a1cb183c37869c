"""Prefect's environment at a library: offline, silent, its files beside ours. Imports nothing of Prefect.

Prefect reads its settings when it is imported, so `apply` comes before the first import of it or of a module with flows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ALWAYS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_TASKS_DEFAULT_PERSIST_RESULT": "false",
    "PREFECT_LOGGING_LOG_PRINTS": "false",
}
"""Not for a site to change: nothing is sent to Prefect's maker, no result is written down, no print becomes a log line."""

UNLESS_GIVEN = {
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    # An error of Prefect's own database quotes SQL parameters, and its services log one whenever they are stopped.
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    # A first start makes a database of 40 tables; on a small machine that takes more than Prefect's 20 seconds.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
}

LOCAL = ("127.0.0.1", "localhost")


def environment(state_dir: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The variables to set, given those that are set already. Pure.

    Prefect's home goes into the state directory unless the site chose one, or uses a server of its own.
    """
    chosen = {name: value for name, value in UNLESS_GIVEN.items() if name not in given}
    if "PREFECT_HOME" not in given and "PREFECT_API_URL" not in given:
        chosen["PREFECT_HOME"] = str(home(state_dir))
    for name in ("NO_PROXY", "no_proxy"):  # a proxy of the site must not be asked for our own machine
        before = [host for host in given.get(name, "").split(",") if host]
        chosen[name] = ",".join([*before, *(host for host in LOCAL if host not in before)])
    return {**ALWAYS, **chosen}


def home(state_dir: Path) -> Path:
    return state_dir.absolute() / "prefect"


def apply(state_dir: Path) -> None:
    """Set the environment of this process and of those it starts."""
    os.environ.update(environment(state_dir, os.environ))
    state_dir.mkdir(
        parents=True, exist_ok=True, mode=0o700
    )  # a mode given with ``parents`` is the innermost folder's alone
    Path(os.environ.get("PREFECT_HOME") or home(state_dir)).mkdir(parents=True, exist_ok=True, mode=0o700)
