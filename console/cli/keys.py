"""``keys status|rotate|backup|drill|restore|forget-share``: the key store, for whoever looks after it.

Shows no hold that is sealed: what one keeps is counted with what is not due yet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, doubtful, good
from console.cli.exits import UNFINISHED
from console.cli.key_lines import drill_lines, rotation_lines, status_body, status_lines
from console.cli.options import Flag, Here, Json
from console.cli.site import opened


def status(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        site.keys.require_ready()
        overview = site.keys.overview()
        # A sealed hold, and one the ledger does not know, must not be told from what is simply not due.
        shown = {file.id for file in site.ledger.holds.list() if not file.sealed}
    return Answer(
        command="keys.status", body=status_body(overview, shown), lines=status_lines(overview, shown)
    )


def rotate(
    *,
    force: Annotated[
        bool, Flag, Parameter(help="Also when no key was destroyed since the last rotation.")
    ] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        site.require_keys()
        report = site.key_worker.rotate(at=site.now(), force=force)
    body = {
        "rotated": report.rotated, "replaced": report.replaced, "rewrapped": report.rewrapped, "proven": report.proven,
        "backup": report.backup, "gone": report.settled.gone, "scheduled": report.settled.scheduled,
        "revived": report.settled.revived,
    }  # fmt: skip
    return Answer(
        command="keys.rotate", body=body, lines=rotation_lines(report), exit_code=UNFINISHED if report.settled.revived else 0
    )  # fmt: skip


def backup(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        site.keys.require_ready()
        path = site.key_worker.back_up(at=site.now())
    return Answer(
        command="keys.backup", body={"backup": path}, lines=[good(f"the key store was backed up: {path}")],
        notes=["it opens nothing without the root, which is kept apart from it"],
    )  # fmt: skip


def drill(
    *,
    backup: Annotated[
        Path | None,
        Parameter(help="The older backup to try; by default the newest one made before the last rotation."),
    ] = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        site.keys.require_ready()
        done = site.key_worker.drill(at=site.now(), previous=backup)
    body = {name: getattr(done, name) for name in done.__dataclass_fields__} | {"passed": done.passed}
    return Answer(command="keys.drill", body=body, lines=drill_lines(done), exit_code=0 if done.passed else 6)


def restore(
    backup: Annotated[Path, Parameter(help="A file of the backups folder.")],
    /,
    *,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        site.keys.db.upgrade()
        rows = site.keys.restore(backup)
        site.keys.require_ready()
    lines: list[Line] = [good(f"the key store was put back from {backup.name}: {words.plural(rows, 'row')}")]
    return Answer(
        command="keys.restore", body={"backup": backup, "rows": rows}, lines=lines,
        notes=["now: retention keys drill, then retention doctor"],
    )  # fmt: skip


def forget_share(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        site.keys.require_ready()
        forgotten = site.key_worker.forget_shares(at=site.now())
    told: Line = (
        good(f"forgot the share of {words.plural(len(forgotten), 'old root')}: {', '.join(forgotten)}")
        if forgotten
        else doubtful("no old root has a share here")
    )
    return Answer(command="keys.forget-share", body={"forgotten": forgotten}, lines=[told])


__all__ = ["backup", "drill", "forget_share", "restore", "rotate", "status"]
