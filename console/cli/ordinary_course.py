"""``certificate ordinary-course``: the signed answer to a subpoena for what is no longer there."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, Table, day, good, heading, moment
from console.cli.certificate import write_files
from console.cli.options import Here, Json, Many, Pipe
from console.cli.site import opened
from flows.ordinary_course import state_ordinary_course
from retention.errors import UsageError
from retention.ordinary_course import ByHand, Destruction
from retention.records import Personal

NAME = "ordinary-course.dsse.json"


def ordinary_course(
    *,
    subject: Annotated[
        str,
        Pipe,
        Parameter(
            help="The patron's id as the records have it; - reads it from standard input, where nobody sees it."
        ),
    ],
    from_: Annotated[date, Parameter(name="--from", help="First day of the period, YYYY-MM-DD.")],
    to: Annotated[date, Parameter(name="--to", help="Last day of the period.")],
    served: Annotated[date, Parameter(help="The day the request was served.")],
    record_type: Annotated[
        list[str] | None, Many, Parameter(help="Kinds of records; by default all.")
    ] = None,
    out: Annotated[Path, Parameter(help="The folder to write the statement and the public keys to.")],
    json: Json = False,
    session: Here,
) -> Answer:
    if subject == "-":
        subject = session.stdin.read(4096).decode("utf-8", "replace").strip()
    if not subject:
        raise UsageError("a statement is about somebody's request", "give the patron's id with --subject")
    with opened(session) as site:
        stated, envelope = state_ordinary_course(
            site, subject=Personal(subject), first=from_, last=to, served=served, record_types=record_type or ()
        )  # fmt: skip
        keys = {f"{key.kind}.pem": key.pem for key in site.signing_keys.public()}
    write_files(out, {NAME: envelope, **keys})
    lines: list[Line] = [heading(f"{stated.organization}, served {day(served)}")]
    lines += [f"  {sentence}" for sentence in stated.sentences()]
    rows = [
        *(_row("before", one) for one in stated.before_service),
        *(_row("before", one) for one in stated.by_hand_before_service),
        *(_row("after", one) for one in stated.after_service),
        *(_row("after", one) for one in stated.by_hand_after_service),
    ]
    if rows:
        lines.append(
            Table(
                heads=("service", "certificate", "record type", "ended", "destroyed"),
                rows=rows,
                right=frozenset({4}),
            )
        )
    lines += [f"  held since {moment(one.placed)}: {one.hold}" for one in stated.held]
    lines.append(good(f"signed statement: {out / NAME}"))
    statement = stated.statement()
    return Answer(
        command="certificate.ordinary-course", body={"file": out / NAME, "statement": statement}, lines=lines
    )


def _row(when: str, one: Destruction | ByHand) -> tuple[str, ...]:
    if isinstance(one, ByHand):
        kinds = ", ".join(one.record_types)
        return (
            when,
            one.certificate,
            kinds,
            moment(one.destroyed_at),
            words.plural(one.media, "medium", "media"),
        )
    return (when, one.certificate, one.record_type, moment(one.ended), f"{one.destroyed:,}")
