"""``explain``: the signature of the command; the work is in `console.cli.explaining`, which opens the stores."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from console.cli.answer import Answer
from console.cli.options import Day, Here, Json
from console.cli.registry import later


def explain(
    record_type: Annotated[str, Parameter(name="RECORD-TYPE", help="Id of a record type of the schedule.")],
    key: Annotated[str, Parameter(help="The record's key: a row's id, a file's path below its location.")],
    /,
    *,
    location: Annotated[str | None, Parameter(help="Look at this location only.")] = None,
    on: Day = None,
    json: Json = False,
    session: Here,
) -> Answer:
    answer: Answer = later("console.cli.explaining:explain")(
        session, record_type, key, location=location, on=on
    )
    return answer
