"""The first page: what waits for this person, and what waits for others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from console.cli import words
from console.web import knowing
from console.web.doors import Doors, Here, Visit
from retention.holds import HoldState
from retention.permissions import Act
from retention.schedule import ApprovalKind
from storage.dispositions import OpenCase
from storage.queue import Queue
from storage.queue import queue as waiting_for

doors = Doors()
AT_MOST = 12
"""Open cases of this person's, and of others, that the first page shows; the list of cases has the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """``yours``: this person can do it. ``grave``: ``stop`` or ``wait``, as it is coloured."""

    path: str
    title: str
    why: str
    yours: bool
    grave: str


@doors.get("/", Act.READ)
def queue(visit: Here) -> Response:
    """What waits for a decision."""
    desk = visit.desk
    cases = desk.dispositions.open_cases()
    mine = waiting_for(desk.ledger, desk.schedule, cases, visit.who, now=desk.now(), required=desk.required)
    waiting = [*_ethics(mine), *_cases(visit, mine, cases), *_standing(visit, mine), *_holds(visit, mine)]
    halted = desk.ledger.cases.halted()
    facts = {"waiting": [_facts(one) for one in waiting], "halted": halted}
    yours = [one for one in waiting if one.yours]
    others = [one for one in waiting if not one.yours]
    return visit.page("queue.html", title="Queue", facts=facts, yours=yours, others=others, halt=halted)


def _ethics(mine: Queue) -> Iterator[Waiting]:
    for year in mine.ethics:
        why = f"nobody approves without it in {year}"
        yield Waiting(
            path="/account#ethics",
            title="The code of ethics to acknowledge",
            why=why,
            yours=True,
            grave="wait",
        )


def _cases(visit: Visit, mine: Queue, newest: Sequence[OpenCase]) -> Iterator[Waiting]:
    """This person's first, longest waiting first; then the newest of the others."""
    known = {one.case.id: one for one in newest}
    chosen = [known[id] for id in mine.approve[:AT_MOST]]
    chosen += [one for one in newest[:AT_MOST] if one.case.id not in mine.approve]
    for one in chosen:
        case, standing = one.case, one.clearance
        if standing.ready:
            continue
        yield Waiting(
            path=f"/cases/{case.id}", title=f"{visit.desk.title_of(case.record_type)}: {words.plural(case.records, 'record')}",
            why=words.waiting(standing, visit.on_the_clock), yours=case.id in mine.approve, grave="stop" if standing.braked else "wait",
        )  # fmt: skip
    if len(newest) > AT_MOST:
        why = "only some are shown here"
        yield Waiting(
            path="/cases?state=started", title="More open cases", why=why, yours=bool(mine.approve[AT_MOST:]), grave="wait"
        )  # fmt: skip


def _standing(visit: Visit, mine: Queue) -> Iterator[Waiting]:
    desk = visit.desk
    for record_type in desk.schedule.record_types:
        if record_type.approval is not ApprovalKind.STANDING:
            continue
        _, waiting = desk.rulings.standing(record_type.id)
        if waiting is not None and waiting.rule == record_type.digest and desk.today() <= waiting.until:
            yield Waiting(
                path=f"/standing/{record_type.id}", title=f"{record_type.title}: standing approval",
                why="a second person has to agree to it", yours=record_type.id in mine.agree, grave="wait",
            )  # fmt: skip


def _holds(visit: Visit, mine: Queue) -> Iterator[Waiting]:
    yours = {*mine.decide, *mine.verify, *mine.confirm, *mine.release, *mine.review}
    for file in knowing.known(visit):
        if file.id in mine.acknowledge:
            why = "you were told of it: keep what it covers, and acknowledge it"
            yield Waiting(
                path=f"/holds/{file.id}", title=f"Told of hold {file.id}", why=why, yours=True, grave="wait"
            )
        matter = f", {file.matter.number}" if visit.may(Act.READ_MATTERS) else ""
        title, grave = f"Hold {file.id}{matter}", "wait"
        if file.state is HoldState.REQUESTED:
            title = f"Request {file.id}{matter}"
            why = "a custodian decides whether it is placed; until then it keeps nothing"
            if file.unverified:
                why = "counsel has not verified it, and nobody has decided on it: it keeps nothing"
        elif file.unconfirmed:
            late = file.provisional_until is not None and file.provisional_until <= visit.desk.now()
            why = "a second person has to confirm it"
            if file.lapsed:
                why = "nobody confirmed it in time: it keeps until its grace period is over"
            elif late:
                why = "its confirmation is overdue; it keeps all the same"
            grave = "stop" if late else "wait"
        elif file.state is HoldState.RELEASE_REQUESTED:
            why = "its release waits for a second person; it keeps"
        elif file.state.keeps and file.review_on is not None and file.review_on <= visit.desk.today():
            why = "its review is due"
        else:
            continue
        yield Waiting(path=f"/holds/{file.id}", title=title, why=why, yours=file.id in yours, grave=grave)


def _facts(one: Waiting) -> dict[str, Any]:
    return {"path": one.path, "title": one.title, "why": one.why, "yours": one.yours}
