"""``queue``: what waits for a person."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, doubtful, good, heading
from console.cli.options import Here, Json, KeyFile, Name
from console.cli.site import opened
from retention.permissions import Act
from storage.queue import queue as waiting_for
from storage.queue import undecided
from storage.signatures import authorise

WAITING = 3
_TOLD = {
    "approve": ("Cases to approve", "retention case show {}"),
    "agree": ("Standing approvals to agree to", "retention standing agree {}"),
    "decide": ("Requests to place or to decline", "retention hold show {}"),
    "verify": ("Requests to verify", "retention hold show {}"),
    "acknowledge": ("Holds that you were told of", "retention hold acknowledge {}"),
    "confirm": ("Holds to confirm", "retention hold confirm {}"),
    "release": ("Releases of holds to approve", "retention hold release {}"),
    "review": ("Holds to review", "retention hold show {}"),
    "ethics": ("The code of ethics to acknowledge", "retention person acknowledge-ethics --year {}"),
}


def queue(
    *,
    as_: Name,
    key_file: KeyFile = None,
    quiet: Annotated[
        bool, Parameter(negative=(), show_default=False, help="Exit with 0 also when something waits.")
    ] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        person = authorise(site.ledger, site.signatory(as_, key_file), Act.READ)
        required = site.settings.required
        found = waiting_for(
            site.ledger,
            site.schedule,
            site.dispositions.open_cases(),
            person,
            now=site.now(),
            required=required,
        )
        doubts = undecided(site.ledger, site.schedule)
    lines: list[Line] = [] if found else [good(f"nothing waits for {as_}")]
    for name, (title, command) in _TOLD.items():
        ids: tuple[str, ...] = getattr(found, name)
        if ids:
            lines += [heading(f"{title} ({len(ids)})"), *(f"  {command.format(id)} --as {as_}" for id in ids)]
    for record_type, counts in doubts.items():
        told = words.plural(sum(counts.values()), "record")
        lines.append(
            doubtful(
                f"Nobody can decide on {told} of {record_type}: retention run --cannot-decide 20 --record-type {record_type}"
            )
        )
    body = {"person": as_, "waiting": asdict(found), "cannot_decide": doubts}
    return Answer(command="queue", body=body, lines=lines, exit_code=WAITING if found and not quiet else 0)
