"""``keys accept``: go on with a key store that was restored to an older state, by name and with a reason."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from console.cli.answer import Answer, Line, doubtful, good
from console.cli.options import Here, Json, KeyFile, Name
from console.cli.site import opened
from flows.withdrawing import accept as accept_restored


def accept(
    *,
    reason: Annotated[str, Parameter(help="Why there is no newer one, for the ledger.")],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        before, now = accept_restored(site, site.signatory(as_, key_file), reason)
    lines: list[Line] = [
        good(f"the key store is accepted as it is (epoch {now}; the ledger knew {before})"),
        doubtful("  keys that were destroyed after it was saved live in it again"),
        "  the next run supersedes the certificates concerned, and destroys again what is due: retention run --execute",
    ]
    return Answer(command="keys.accept", body={"before": before, "epoch": now}, lines=lines)
