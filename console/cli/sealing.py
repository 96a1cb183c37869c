"""``seal``: what would be sealed, or with ``--execute`` seal it. Dry by default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from console.cli.answer import Answer, Line, bad, doubtful, good, heading, number
from console.cli.exits import UNFINISHED, worst
from console.cli.options import Flag, Here, Json, Many
from console.cli.progress import reporting
from console.cli.site import opened
from flows.sealwork import SealRun
from flows.sealwork import seal as carry_out
from storage.sealed.sealing_result import Sealing


def seal(
    *,
    record_type: Annotated[
        list[str] | None, Many, Parameter(help="Only this record type; may be given several times.")
    ] = None,
    execute: Annotated[bool, Flag, Parameter(help="Seal, read back, and remove the plaintext.")] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site, reporting(session, execute=execute) as reporter:
        run = carry_out(site, record_types=record_type or (), execute=execute, progress=reporter.sealing)
    codes = [failure.error.exit_code for failure in run.failures]
    codes += [UNFINISHED for result in run.results if unfinished(result)]
    return Answer(command="seal", body=facts(run), lines=_lines(run), exit_code=worst(codes))


def unfinished(result: Sealing) -> bool:
    """Whether a person has to look: something is neither sealed nor left alone for a reason that passes by itself."""
    return bool(result.foreign) or any(found.count for found in result.findings)


def facts(run: SealRun) -> Mapping[str, Any]:
    return {
        "execute": run.execute,
        "locations": [
            {
                "record_type": one.record_type,
                "location": one.location,
                "store": one.store,
                "sealed": one.sealed,
                "bytes": one.size,
                "seconds": round(one.seconds, 3),
                "before": one.before,
                "resumed": one.resumed,
                "taken_away": one.taken_away,
                "foreign": one.foreign,
                "left": dict(sorted(one.left.items())),
                "findings": [{"message": found.message, "hint": found.hint} for found in one.findings],
            }
            for one in run.results
        ],
        "failures": [
            {
                "record_type": one.record_type,
                "location": one.location,
                "error": one.error.message,
                "hint": one.error.hint,
            }
            for one in run.failures
        ],
    }


def _lines(run: SealRun) -> list[Line]:
    lines: list[Line] = []
    if not run.results and not run.failures:
        return ['nothing is sealed by this schedule: no record type has disposition = "crypto-shred"']
    for one in run.results:
        lines += _location(one, execute=run.execute)
    for failure in run.failures:
        place = f"{failure.record_type}/{failure.location}" if failure.location else failure.record_type
        lines += [heading(place), bad(f"  {failure.error.message}"), f"  {failure.error.hint}"]
    if not run.execute and any(one.sealed for one in run.results):
        lines += ["", "nothing was touched; to seal: retention seal --execute"]
    return lines


def _location(one: Sealing, *, execute: bool) -> list[Line]:
    did = "sealed and read back, plaintext removed" if execute else "to be sealed"
    lines: list[Line] = [heading(f"{one.record_type}/{one.location}")]
    lines.append(good(f"  {number(one.sealed)} {did} ({number(one.size)} bytes)"))
    if one.before:
        lines.append(f"  {number(one.before)} sealed before")
    if one.resumed or one.taken_away:
        lines.append(
            f"  interrupted before: {number(one.resumed)} finished, {number(one.taken_away)} begun anew"
        )
    for why, count in sorted(one.left.items()):
        lines.append(f"  {number(count)} left alone: {why}")
    for found in one.findings:
        lines += [doubtful(f"  {found.message}"), f"  {found.hint}"]
    return lines
