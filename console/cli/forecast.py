"""``forecast``: what comes due in the months to come."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from console.cli.answer import Answer, Line, Table, doubtful, number
from console.cli.exits import UNFINISHED
from console.cli.options import Flag, Here, Json
from console.cli.site import opened
from flows.forecasting import MONTHS, MOST_MONTHS
from flows.forecasting import forecast as look_ahead


def forecast(
    *,
    months: Annotated[
        int, Parameter(help="How many months ahead.", validator=Number(gte=1, lte=MOST_MONTHS))
    ] = MONTHS,
    fresh: Annotated[bool, Flag, Parameter(help="Count anew, also when today's is there already.")] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        made = look_ahead(site, months, fresh=fresh)
    rows = [
        (one.record_type, number(one.backlog), number(one.past_maximum), number(one.days_past), number(sum(one.months.values())),
         ", ".join(f"{name}: {number(count)}" for name, count in one.months.items() if count))
        for one in made.record_types
    ]  # fmt: skip
    heads = ("record type", "due now", "past maximum", "days late", f"next {months} months", "in which")
    lines: list[Line] = [Table(heads=heads, rows=rows, right=frozenset({1, 2, 3, 4}))]
    for one in made.record_types:
        lines += [
            doubtful(f"not counted: {one.record_type}/{place}: {why}")
            for place, why in one.not_counted.items()
        ]
    lines.append("What cannot go today because of a legal hold is not counted, in no month.")
    missing = any(one.not_counted for one in made.record_types)
    return Answer(command="forecast", body=made.facts, lines=lines, exit_code=UNFINISHED if missing else 0)
