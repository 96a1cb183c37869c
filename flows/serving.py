"""Serve the flows: deployments with their schedules in the library's time zone, run by this process until it is ended.

Without ``PREFECT_API_URL`` it starts a Prefect server of its own beside it, since Prefect's embedded one schedules nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from flows import quiet
from flows.keeping import keeping
from flows.server import PrefectServer
from flows.settings import Settings
from flows.wiring import Site
from retention.errors import SettingsError

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner import Runner

ENDING_TRIES, ENDING_SECONDS = 3, 15.0
"""How often the runner is told to end, and how long it may take each time to pause its schedules."""
SETTLE = "*/30 * * * *"
"""Cron of the settling run: what a power cut interrupted is known within half an hour."""


def serve(settings: Settings, tell: Callable[[str], None] = lambda _: None) -> None:
    """Serve until interrupted, with a keeper of holds beside it, whose trouble is told. Raises `SettingsError`, `ScheduleInvalid`, `Unavailable` before anything was started."""
    site = Site(settings)
    zone = site.schedule.library.zone
    site.ledger.require_ready(site.now())
    site.close()
    quiet.apply(settings.state_dir)
    with ExitStack() as stack:
        stack.enter_context(keeping(settings, tell))
        if "PREFECT_API_URL" not in os.environ:
            server = stack.enter_context(PrefectServer(quiet.home(settings.state_dir)))
            server.wait()
            os.environ["PREFECT_API_URL"] = server.url
            stack.callback(os.environ.pop, "PREFECT_API_URL", None)
        from prefect.exceptions import TerminationSignal  # noqa: PLC0415  # Prefect reads its settings when imported
        from prefect.runner import Runner  # noqa: PLC0415  # only after `quiet` and the server's address

        # Schedules are paused on the way out, so that a stopped service leaves no late runs behind to be caught up with.
        runner = Runner(pause_on_shutdown=True)
        for deployment in deployments(settings, zone):
            runner.add_deployment(deployment)
        with suppress(KeyboardInterrupt, TerminationSignal):  # this is how it ends
            asyncio.run(_until_told(runner))


async def _until_told(runner: Runner) -> None:
    """Serve until cancelled, and then be sure to end: a runner that is told between two of its waits may miss the first word."""
    serving = asyncio.ensure_future(runner.start())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        for _ in range(ENDING_TRIES):
            serving.cancel()
            if (await asyncio.wait({serving}, timeout=ENDING_SECONDS))[0]:
                break
        raise


def deployments(settings: Settings, zone: ZoneInfo) -> list[RunnerDeployment]:
    """Every flow with its schedule; `dispose` has none: a person or the nightly run starts it. Raises `SettingsError`."""
    from prefect.schedules import Cron, Schedule  # noqa: PLC0415  # see `serve`
    from prefect.types.entrypoint import EntrypointType  # noqa: PLC0415

    from flows.applying import apply_schedule  # noqa: PLC0415
    from flows.coverage import coverage  # noqa: PLC0415
    from flows.disposing import dispose  # noqa: PLC0415
    from flows.reminding import remind  # noqa: PLC0415
    from flows.scanning import scan_weekly  # noqa: PLC0415
    from flows.sealing import seal  # noqa: PLC0415
    from flows.settling import settle  # noqa: PLC0415

    def cron(setting: str, line: str) -> Schedule:
        try:
            return Cron(line, timezone=zone.key)
        except ValueError:
            raise SettingsError(
                f"setting {setting}: not a cron line", 'five fields, for instance "15 2 * * *"'
            ) from None

    def deployed(flow: Flow[..., Any], name: str, schedule: Schedule | None = None) -> RunnerDeployment:
        made = flow.to_deployment(name, schedule=schedule, entrypoint_type=EntrypointType.MODULE_PATH)
        return cast("RunnerDeployment", made)  # a coroutine only where an event loop runs

    return [
        deployed(apply_schedule, "nightly", cron("RETENTION_NIGHTLY", settings.nightly)),
        deployed(seal, "seal", cron("RETENTION_SEAL", settings.seal)),
        deployed(settle, "settle", cron("RETENTION_SETTLE", SETTLE)),
        deployed(remind, "remind", cron("RETENTION_REMIND", settings.remind)),
        deployed(scan_weekly, "scan", cron("RETENTION_SCAN", settings.scan)),
        deployed(coverage, "coverage", cron("RETENTION_COVERAGE", settings.coverage)),
        deployed(dispose, "one-case"),
    ]
