"""``check`` and ``schema``: what is wrong with a schedule, and what one may hold. Needs no ledger and no store."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli.answer import Answer, Line, good
from console.cli.options import Flag, Here, Json
from console.cli.registry import later
from console.cli.words import plural
from flows.settings import load_settings
from retention.errors import ScheduleInvalid, UsageError
from retention.loader import load, read_problems
from retention.schedule import Schedule
from retention.schema import json_schema


def check(
    file: Annotated[
        Path | None, Parameter(help="The schedule; by default RETENTION_POLICIES, else policies.toml.")
    ] = None,
    /,
    *,
    stores: Annotated[
        bool, Flag, Parameter(help="Also look whether every location is as the schedule says.")
    ] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    path = file or load_settings().policies
    text = _read(path)
    problems = read_problems(text, str(path))
    if problems:
        lines: list[Line] = []
        for problem in problems:
            lines += [f"{problem.file}:{problem.line}: error[{problem.code}] {problem.message}"]
            lines += [f"  hint: {problem.hint}"] if problem.hint else []
        session.fail(
            f"{path} has {plural(len(problems), 'problem')}", "nothing runs under it until they are mended"
        )
        body = {"file": path, "ok": False, "problems": [asdict(problem) for problem in problems]}
        return Answer(command="check", body=body, lines=lines, exit_code=ScheduleInvalid.exit_code)
    schedule = load(text, str(path))
    checked = _checked(schedule)
    sentence = f"{path}: {', '.join(checked)}; no problem"
    body = {"file": path, "ok": True, "problems": [], "version": schedule.version, "digest": schedule.digest}
    facts: list[Line] = [good(sentence), f"version {schedule.version}, digest {schedule.digest[:12]}"]
    if not stores:
        return Answer(command="check", body=body, lines=facts)
    answer: Answer = later("console.cli.check_stores:check_stores")(session, path, body, facts)
    return answer


def schema(*, json: Json = False, session: Here) -> Answer:
    form = json_schema()
    return Answer(
        command="schema",
        body={"schema": form},
        plain=jsonlib.dumps(form, indent=2, ensure_ascii=False) + "\n",
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "name the file, or set RETENTION_POLICIES") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text", "save it as UTF-8") from None


def _checked(schedule: Schedule) -> list[str]:
    types = schedule.record_types
    return [
        plural(len(types), "record type"),
        plural(sum(len(one.rules) for one in types), "rule"),
        plural(sum(len(one.locations) for one in types), "location"),
        f"{plural(sum(len(one.examples) for one in types), 'example')} decided as expected",
    ]
