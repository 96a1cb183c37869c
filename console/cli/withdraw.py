"""``withdraw``: have sealed objects go before their period is over, by name and with a reason."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from console.cli.answer import Answer, Line, good
from console.cli.options import Here, Json, KeyFile, Name
from console.cli.site import opened
from console.cli.words import plural
from flows.withdrawing import withdraw as withdraw_objects


def withdraw(
    object_: Annotated[list[str], Parameter(name="OBJECT", help="Ids of sealed objects.")],
    /,
    *,
    reason: Annotated[str, Parameter(help="Why, for the ledger; no names of patrons.")],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        done = withdraw_objects(site, object_, site.signatory(as_, key_file), reason)
    fresh = [one for one in done if not one.again]
    lines: list[Line] = [
        good(f"{plural(len(fresh), 'object')} withdrawn by {as_}; the next case of each record type has them")
    ]
    lines += [f"  {one.id} {one.record_type} at {one.location}" for one in fresh]
    lines += [f"  {one.id} was withdrawn before" for one in done if one.again]
    lines.append("What a legal hold keeps stays until the hold is released.")
    return Answer(command="withdraw", body={"objects": [asdict(one) for one in done]}, lines=lines)
