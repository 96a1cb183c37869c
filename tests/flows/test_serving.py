"""What is served, when, and on whose clock."""

import asyncio
from typing import cast
from zoneinfo import ZoneInfo

import pytest
from prefect.client.schemas.schedules import CronSchedule
from prefect.runner import Runner

from flows import serving
from flows.serving import deployments
from flows.settings import Settings
from retention.errors import SettingsError

ZONE = ZoneInfo("America/Denver")


def served(settings: Settings) -> dict[str, list[CronSchedule]]:
    found: dict[str, list[CronSchedule]] = {}
    for deployment in deployments(settings, ZONE):
        schedules = [schedule.schedule for schedule in deployment.schedules or []]
        found[f"{deployment.flow_name}/{deployment.name}"] = [
            one for one in schedules if isinstance(one, CronSchedule)
        ]
    return found


def test_every_flow_is_served_and_the_nightly_ones_on_the_librarys_clock(library: Settings) -> None:
    found = served(
        library.model_copy(update={"nightly": "5 3 * * *", "remind": "0 7 * * 1", "scan": "0 5 * * 6"})
    )
    lines = {name: [(one.cron, one.timezone) for one in schedules] for name, schedules in found.items()}
    assert lines == {
        "apply-schedule/nightly": [("5 3 * * *", "America/Denver")],
        "seal/seal": [("45 1 * * *", "America/Denver")],
        "settle/settle": [("*/30 * * * *", "America/Denver")],
        "remind/remind": [("0 7 * * 1", "America/Denver")],
        "scan/scan": [("0 5 * * 6", "America/Denver")],
        "coverage/coverage": [("0 6 * * 1", "America/Denver")],
        "dispose/one-case": [],
    }


def test_flows_are_found_by_module_so_that_any_folder_may_be_current(library: Settings) -> None:
    entrypoints = {deployment.entrypoint for deployment in deployments(library, ZONE)}
    assert entrypoints == {
        "flows.applying.apply_schedule", "flows.settling.settle", "flows.reminding.remind", "flows.disposing.dispose",
        "flows.scanning.scan_weekly",
        "flows.coverage.coverage",
        "flows.sealing.seal",
    }  # fmt: skip


def test_no_deployment_carries_a_parameter(library: Settings) -> None:
    found = deployments(library, ZONE)
    assert found
    assert all(deployment.parameters == {} for deployment in found)


def test_a_line_that_is_no_cron_is_named_by_its_setting(library: Settings) -> None:
    with pytest.raises(SettingsError, match="RETENTION_NIGHTLY"):
        deployments(library.model_copy(update={"nightly": "at night"}), ZONE)


class Deaf:
    """A runner that misses the first word, as one that is told between two of its waits does."""

    def __init__(self, misses: int) -> None:
        self.misses = misses
        self.ended = False

    async def start(self) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if self.misses:
                    self.misses -= 1
                    continue
                self.ended = True
                raise


@pytest.mark.parametrize("misses", [0, 1, 2])
def test_a_runner_that_misses_the_word_to_end_is_told_again(
    misses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "ENDING_SECONDS", 0.05)
    runner = Deaf(misses)

    async def told() -> None:
        service = asyncio.ensure_future(serving._until_told(cast(Runner, runner)))
        await asyncio.sleep(0.01)
        service.cancel()
        with pytest.raises(asyncio.CancelledError):
            await service

    asyncio.run(told())
    assert runner.ended
