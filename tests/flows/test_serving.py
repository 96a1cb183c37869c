"""What is served, when, and on whose clock."""

from zoneinfo import ZoneInfo

import pytest
from prefect.client.schemas.schedules import CronSchedule

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
