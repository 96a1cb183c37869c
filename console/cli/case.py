"""``case list``, ``show``, ``approve`` and ``return``: what a run wants to destroy, and who said yes or no."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from console.cli import words
from console.cli.answer import Answer, Line, Table, doubtful, good, moment, number
from console.cli.case_lines import (
    case_facts,
    decision_facts,
    decision_lines,
    in_short,
    review_facts,
    review_lines,
)
from console.cli.options import Flag, Here, Json, KeyFile, Many, MaybeName, Name
from console.cli.site import opened
from flows.case_items import named, sample
from retention.errors import UsageError
from retention.permissions import Act
from storage.dispositions import Review
from storage.ledger.cases import CaseState
from storage.looking import Change, since_last_look
from storage.signatures import authorise

CaseId = Annotated[str, Parameter(help="Id of a case: see `retention case list`.")]


def list_(
    *,
    state: Annotated[CaseState | None, Parameter(help="Only cases in this state.")] = None,
    record_type: Annotated[str | None, Parameter(help="Only cases of this record type.")] = None,
    limit: Annotated[int, Parameter(help="At most that many.", validator=Number(gte=1, lte=100_000))] = 50,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        cases = site.ledger.cases.list(state=state, record_type=record_type, limit=limit)
        found = [(case, site.dispositions.standing(case)) for case in cases]
    rows = [
        (case.id, case.record_type, case.on.isoformat(), number(case.items), in_short(case, clearance))
        for case, clearance in found
    ]
    table = Table(
        heads=("case", "record type", "day", "items", "state"),
        rows=rows,
        right=frozenset({3}),
        whole=frozenset({0, 2}),
    )
    body = {"cases": [case_facts(case, clearance) for case, clearance in found]}
    lines: list[Line] = [table] if rows else []
    return Answer(command="case.list", body=body, lines=[*lines, words.plural(len(rows), "case")])


_CHANGES = {
    Change.STATE: "its state",
    Change.OUTCOMES: "its outcomes",
    Change.DECISIONS: "who decided what",
    Change.APPROVALS_VOID: "approvals that no longer count: it is not the case that was approved",
}


def show(
    case: CaseId, /, *, as_: MaybeName = None, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        reader = None if as_ is None else authorise(site.ledger, site.signatory(as_, key_file), Act.READ).name
        seen = site.dispositions.review(case)
        decisions = site.ledger.people.decisions(case)
        excepted = site.ledger.exceptions.of(case)
        certificates = [one.id for one in site.ledger.lists.of_case(case)]
        since = None if reader is None else since_last_look(site.ledger, reader, seen, now=site.now())
    body = {
        "case": review_facts(seen),
        "decisions": [decision_facts(one) for one in decisions],
        "excepted": [{"position": one.ordinal, "person": one.person, "at": one.at} for one in excepted],
        "certificates": certificates,
    }
    lines = review_lines(seen) + decision_lines(decisions)
    if excepted:
        people = words.listed(sorted({one.person for one in excepted}))
        lines.append(
            doubtful(
                f"  {words.plural(len(excepted), 'item')} taken out by {people}: "
                f"{words.plural(seen.going, 'record')} of {number(seen.case.records)} would go"
            )
        )
    if since is not None and since.changes:
        told = words.listed([_CHANGES[one] for one in since.changes])
        lines.append(doubtful(f"  changed since you looked at {moment(since.at)}: {told}"))
        body["changed"] = [one.value for one in since.changes]
    lines += [good(f"  certificate: {id}") for id in certificates]
    return Answer(command="case.show", body=body, lines=lines)


def approve(
    case: CaseId,
    /,
    *,
    records: Annotated[
        int | None,
        Parameter(
            help="How many records you mean to destroy; asked for on a terminal.", validator=Number(gte=0)
        ),
    ] = None,
    as_: Name,
    key_file: KeyFile = None,
    lift: Annotated[
        list[str] | None,
        Many,
        Parameter(help="Release this brake for this case; may be given several times."),
    ] = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        seen = site.dispositions.review(case)
        signatory = site.signatory(as_, key_file)
        count = typed(seen, records, asking=session.asks and not json)
        clearance = site.dispositions.approve(
            case, signatory, records=count, lifts=lift or (), epoch=seen.epoch
        )
        done = f"{as_} approved case {case}: {words.plural(seen.case.items - len(seen.excepted), 'item')} of {seen.case.record_type}"
        then: Line = (
            good("  it is cleared: the next retention run --execute carries it out")
            if clearance.ready
            else doubtful(f"  not yet carried out: {words.waiting(clearance)}")
        )
        after = site.dispositions.review(case)
    body = {"case": review_facts(after), "lifted": sorted(lift or ())}
    return Answer(command="case.approve", body=body, lines=[good(done), then, *review_lines(seen)[1:]])


def items(
    case: CaseId,
    /,
    *,
    record: Annotated[
        list[str] | None,
        Many,
        Parameter(help="Only the item with this key, as its store writes it; may be given several times."),
    ] = None,
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        authorise(site.ledger, site.signatory(as_, key_file), Act.SECOND)
        found = site.ledger.cases.get(case)
        listed = sample(site, found) if record is None else named(site, found, record)
        out = site.ledger.exceptions.ordinals(case)
    rows = [
        (
            number(one["ordinal"]),
            one["location"],
            one["key"],
            (one["date"] or "")[:10] if one["there"] else "gone meanwhile",
            one["branch"] or "",
            "taken out" if one["ordinal"] in out else "",
        )
        for one in listed
    ]
    heads = ("position", "location", "record", "date", "branch", "")
    lines: list[Line] = (
        [Table(heads=heads, rows=rows, right=frozenset({0}), whole=frozenset({0}))] if rows else []
    )
    told = f"{words.plural(len(rows), 'item')} of {number(found.items)}"
    body = {
        "case": case,
        "items": [{**one, "excepted": one["ordinal"] in out} for one in listed],
        "of": found.items,
    }
    return Answer(
        command="case.items",
        body=body,
        lines=[*lines, told if record is not None else f"{told}, evenly over the list"],
    )


def withdraw(
    case: CaseId, /, *, as_: Name, key_file: KeyFile = None, json: Json = False, session: Here
) -> Answer:
    with opened(session) as site:
        site.dispositions.withdraw(case, site.signatory(as_, key_file))
        seen = site.dispositions.review(case)
    lines = [good(f"{as_} took back the approval of case {case}"), *review_lines(seen)]
    return Answer(command="case.withdraw", body={"case": review_facts(seen)}, lines=lines)


def except_(
    case: CaseId,
    /,
    *,
    position: Annotated[
        list[int],
        Many,
        Parameter(help="Place of an item in the manifest, counted from 0; may be given several times."),
    ],
    reason: Annotated[str, Parameter(help="Why, kept sealed; no names of patrons.")],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        count = site.dispositions.except_items(case, site.signatory(as_, key_file), position, reason)
        seen = site.dispositions.review(case)
    lines: list[Line] = [
        good(f"{as_} took {words.plural(count, 'item')} out of case {case}"),
        doubtful("  approvals given before no longer count: the case is not the one that was approved"),
        *review_lines(seen),
    ]
    return Answer(command="case.except", body={"case": review_facts(seen), "excepted": count}, lines=lines)


def extend(
    case: CaseId,
    /,
    *,
    until: Annotated[
        date | None, Parameter(help="The first day on which a new case may be opened, as YYYY-MM-DD.")
    ] = None,
    cancel: Annotated[
        bool, Flag, Parameter(help="Let its record type be planned again by the next run.")
    ] = False,
    reason: Annotated[str, Parameter(help="Why, for the ledger; no names of patrons.")],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    if cancel == (until is not None):
        raise UsageError(
            "give either the day or --cancel", "--until YYYY-MM-DD puts it off, --cancel undoes that"
        )
    with opened(session) as site:
        signatory = site.signatory(as_, key_file)
        if until is None:
            site.dispositions.cancel_extension(case, signatory, reason)
        else:
            site.dispositions.extend(case, signatory, until, reason)
            site.spool.discard(case)
        seen = site.dispositions.review(case)
    of = seen.case.record_type
    done = f"the next run plans {of} again" if until is None else f"no case of {of} is opened before {until}"
    body = {"case": review_facts(seen), "until": until}
    return Answer(command="case.extend", body=body, lines=[good(f"{done}, decided by {as_}")])


def typed(seen: Review, records: int | None, *, asking: bool) -> int:
    """The number of records as the person gave it. Raises `UsageError` where it is missing and nobody can be asked."""
    if records is not None:
        return records
    if asking:
        answer = input(
            f"{words.plural(seen.going, 'record')} of {seen.case.record_type} will be destroyed; type their number: "
        )
        if answer.strip().isdecimal():
            return int(answer)
    raise UsageError(
        "an approval names how many records it is about", "give the number that the case shows: --records N"
    )


def return_(
    case: CaseId,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why, for the ledger; no names of patrons.")],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        site.dispositions.return_case(case, site.signatory(as_, key_file), reason)
        site.spool.discard(case)
        seen = site.dispositions.review(case)
    done = good(f"case {case} was sent back by {as_}; the next run plans {seen.case.record_type} afresh")
    return Answer(command="case.return", body={"case": review_facts(seen)}, lines=[done])
