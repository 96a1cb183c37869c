"""``standing``: approvals of a rule instead of every case: proposed by one person, agreed to by another, ended by anybody of them."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from cyclopts import Parameter

from console.cli.answer import Answer, Line, Table, doubtful, good
from console.cli.options import Here, Json, KeyFile, Name
from console.cli.site import opened
from console.cli.standing_facts import standing_facts
from retention.schedule import ApprovalKind

RecordTypeId = Annotated[str, Parameter(help="A record type of the schedule.")]
Reason = Annotated[str, Parameter(help="Why, for the ledger; no names of patrons.")]


def list_(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        types = [one for one in site.schedule.record_types if one.approval is ApprovalKind.STANDING]
        found = [(one, *site.rulings.standing(one.id)) for one in types]
        today, required = site.today(), site.settings.required.standing
    body = [standing_facts(*one, today=today) for one in found]
    rows = [
        (
            one["record_type"],
            one["state"],
            one["until"] or "",
            one["proposed_by"] or "",
            one["agreed_by"] or "",
        )
        for one in body
    ]
    heads = ("record type", "standing approval", "until", "proposed by", "agreed by")
    lines: list[Line] = [Table(heads=heads, rows=rows, whole=frozenset({0, 2}))] if rows else []
    lines.append(
        "Cases of these record types wait for one."
        if required
        else "None is required here: RETENTION_STANDING_APPROVALS is optional."
    )
    return Answer(command="standing.list", body={"required": required, "standing": body}, lines=lines)


def propose(
    record_type: RecordTypeId,
    /,
    *,
    until: Annotated[date, Parameter(help="Its last day, as YYYY-MM-DD; at most two years ahead.")],
    reason: Annotated[
        str, Parameter(help="Why; it stands in certificates, so no names of patrons and no matters.")
    ],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        site.rulings.propose(record_type, site.signatory(as_, key_file), until, reason)
    lines: list[Line] = [
        good(f"{as_} proposed a standing approval of {record_type} until {until}"),
        doubtful(f"  somebody else has to agree: retention standing agree {record_type} --as NAME"),
    ]
    return Answer(command="standing.propose", body={"record_type": record_type, "until": until}, lines=lines)


def agree(
    record_type: RecordTypeId, /, *, as_: Name, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        agreed = site.rulings.agree(record_type, site.signatory(as_, key_file))
    line = good(
        f"{record_type} has a standing approval by {agreed.proposed_by} and {as_} until {agreed.until}"
    )
    body = {"record_type": record_type, "until": agreed.until, "by": [agreed.proposed_by, as_]}
    return Answer(command="standing.agree", body=body, lines=[line])


def revoke(
    record_type: RecordTypeId,
    /,
    *,
    reason: Reason,
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        site.rulings.revoke(record_type, site.signatory(as_, key_file), reason)
    line = good(
        f"{as_} revoked the standing approval of {record_type}; what has begun goes on: retention halt"
    )
    return Answer(command="standing.revoke", body={"record_type": record_type}, lines=[line])
