"""Prefect's environment at a library."""

import os
from pathlib import Path

import pytest

from flows import quiet

STATE = Path("/srv/retention/state")


def test_nothing_is_sent_anywhere_whatever_the_site_set() -> None:
    given = {"DO_NOT_TRACK": "0", "PREFECT_SERVER_ANALYTICS_ENABLED": "true"}
    chosen = {**given, **quiet.environment(STATE, given)}
    assert chosen["DO_NOT_TRACK"] == "1"
    assert chosen["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


def test_results_and_prints_are_never_written_down() -> None:
    chosen = quiet.environment(STATE, {})
    assert (
        chosen["PREFECT_RESULTS_PERSIST_BY_DEFAULT"]
        == chosen["PREFECT_TASKS_DEFAULT_PERSIST_RESULT"]
        == "false"
    )
    assert chosen["PREFECT_LOGGING_LOG_PRINTS"] == "false"


def test_prefects_home_is_in_the_state_directory() -> None:
    assert quiet.environment(STATE, {})["PREFECT_HOME"] == "/srv/retention/state/prefect"


def test_a_home_or_a_server_of_the_site_is_respected() -> None:
    assert "PREFECT_HOME" not in quiet.environment(STATE, {"PREFECT_HOME": "/elsewhere"})
    assert "PREFECT_HOME" not in quiet.environment(STATE, {"PREFECT_API_URL": "http://prefect.example/api"})


def test_log_levels_of_the_site_are_respected() -> None:
    assert "PREFECT_LOGGING_LEVEL" not in quiet.environment(STATE, {"PREFECT_LOGGING_LEVEL": "DEBUG"})
    assert quiet.environment(STATE, {})["PREFECT_LOGGING_LEVEL"] == "WARNING"


def test_a_proxy_is_not_asked_for_this_machine() -> None:
    assert (
        quiet.environment(STATE, {"NO_PROXY": "intranet.example"})["NO_PROXY"]
        == "intranet.example,127.0.0.1,localhost"
    )


def test_a_state_directory_that_prefect_needs_first_is_private_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in quiet.environment(tmp_path, {}):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    try:
        quiet.apply(tmp_path / "state")
    finally:
        os.environ.clear()
        os.environ.update(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_dir()}
    assert modes == {"state": 0o700, "prefect": 0o700}
