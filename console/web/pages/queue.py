"""The first page: what waits for this person, and what waits for others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from console.cli import words
from console.web import knowing
from console.web.doors import Doors, Here, Visit
from retention.holds import HoldState
from retention.permissions import Act
from storage.ledger.cases import CaseState

doors = Doors()
AT_MOST = 12
"""Open cases that are looked into for the first page; the list of cases has the rest."""


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
    waiting = [*_cases(visit), *_holds(visit)]
    halted = visit.desk.ledger.cases.halted()
    facts = {"waiting": [_facts(one) for one in waiting], "halted": halted}
    yours = [one for one in waiting if one.yours]
    others = [one for one in waiting if not one.yours]
    return visit.page("queue.html", title="Queue", facts=facts, yours=yours, others=others, halt=halted)


def _cases(visit: Visit) -> list[Waiting]:
    desk, found = visit.desk, []
    cases = desk.ledger.cases.list(state=CaseState.STARTED, limit=AT_MOST + 1)
    for case in cases[:AT_MOST]:
        if case.destroying_since is not None:
            continue
        standing = desk.dispositions.standing(case)
        if standing is None or standing.ready:
            continue
        decided = {one.person for one in desk.ledger.people.decisions(case.id)} - set(standing.void)
        yours = visit.may(Act.SECOND) and visit.who.name not in decided and standing.not_before is None
        title = f"{desk.title_of(case.record_type)}: {words.plural(case.records, 'record')}"
        grave = "stop" if standing.braked else "wait"
        found.append(
            Waiting(
                path=f"/cases/{case.id}", title=title, why=words.waiting(standing), yours=yours, grave=grave
            )
        )
    if len(cases) > AT_MOST:
        why = "only the newest are looked into here"
        more = "/cases?state=started"
        found.append(Waiting(path=more, title="More open cases", why=why, yours=True, grave="wait"))
    return found


def _holds(visit: Visit) -> list[Waiting]:
    found, who = [], visit.who.name
    for file in knowing.known(visit):
        path = f"/holds/{file.id}"
        if file.state.keeps and who in file.unacknowledged:
            why = "you were told of it: keep what it covers, and acknowledge it"
            found.append(
                Waiting(path=path, title=f"Told of hold {file.id}", why=why, yours=True, grave="wait")
            )
        if file.state is HoldState.REQUESTED:
            yours = visit.may(Act.PLACE_HOLD) or (visit.may(Act.VERIFY_REQUEST) and file.unverified)
            why = "a custodian decides whether it is placed; until then it keeps nothing"
            if file.unverified:
                why = "counsel has not verified it, and nobody has decided on it: it keeps nothing"
            found.append(Waiting(path=path, title=f"Request {file.id}", why=why, yours=yours, grave="wait"))
        elif file.unconfirmed:
            late = file.provisional_until is not None and file.provisional_until <= visit.desk.now()
            yours = visit.may(Act.CONFIRM_HOLD) and file.placed_by != who
            why = "a second person has to confirm it"
            if file.lapsed:
                why = "nobody confirmed it in time: it keeps until its grace period is over"
            elif late:
                why = "its confirmation is overdue; it keeps all the same"
            found.append(
                Waiting(
                    path=path, title=f"Hold {file.id}", why=why, yours=yours, grave="stop" if late else "wait"
                )
            )
        elif file.state is HoldState.RELEASE_REQUESTED:
            asked = [step.person for step in file.actions if step.action == "request-release"]
            yours = visit.may(Act.CONFIRM_HOLD) and asked[-1:] != [who]
            why = "its release waits for a second person; it keeps"
            found.append(Waiting(path=path, title=f"Hold {file.id}", why=why, yours=yours, grave="wait"))
        elif file.state.keeps and file.review_on is not None and file.review_on <= visit.desk.today():
            yours = visit.may(Act.PLACE_HOLD)
            found.append(
                Waiting(
                    path=path, title=f"Hold {file.id}", why="its review is due", yours=yours, grave="wait"
                )
            )
    return found


def _facts(one: Waiting) -> dict[str, Any]:
    return {"path": one.path, "title": one.title, "why": one.why, "yours": one.yours}
