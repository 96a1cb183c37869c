"""A hold's own page, which every act on it comes back to, and what the acts on it have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from console.cli import words
from console.cli.hold_lines import hold_facts
from console.web import knowing
from console.web.acting import Operation, Values, rehearse
from console.web.doors import Visit
from console.web.forms import Form
from console.web.pages.hold_form import ACCEPT, choices, scope_told
from console.web.problems import explained
from retention.errors import Refused, UsageError
from retention.permissions import Act
from storage.ledger.holds import HoldFile
from storage.seeing import known_to


def hold_page(
    visit: Visit, id: str, values: Mapping[str, Sequence[str]], errors: Mapping[str, str] | None = None, *, status: int = 200,
    subjects: Sequence[str] = (),
) -> Response:  # fmt: skip
    """``values``: what was typed in one of its forms. ``subjects``: the patrons' ids, for somebody who asked for them."""
    file = knowing.found(visit, id)
    desk, links = visit.desk, knowing.links(visit)
    known = frozenset(known_to(file)) if file.sealed else frozenset[str]()
    told = frozenset(file.told)
    return visit.page(
        "hold.html", title=f"Hold {id}", facts={"hold": facts(visit, file, links), **({"subjects": list(subjects)} if subjects else {})},
        status=status, file=file, errors=dict(errors or {}), matters=visit.may(Act.READ_MATTERS), scope=scope_told(visit, file.scope),
        grace=desk.grace_days, people={one.name: one for one in desk.ledger.people.list()}, accept=ACCEPT, links=links.get(id, ()),
        values={name: str(next(iter(many), "")) for name, many in values.items()}, chosen={name: tuple(many) for name, many in values.items()},
        known=sorted(known), known_people=[(one.name, one.full_name) for one in desk.ledger.people.list() if one.name in known], tellable=[one for one in choices(visit, but=told) if not file.sealed or one[0] in known],
        addable=choices(visit, but=known), subjects=subjects,
    )  # fmt: skip


def facts(visit: Visit, file: HoldFile, links: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """``links``: from `knowing.links`, where it was asked for before."""
    links = knowing.links(visit) if links is None else links
    return hold_facts(file, links.get(file.id, ()), matters=visit.may(Act.READ_MATTERS))


def act(
    visit: Visit, id: str, operation: Operation, form: Form, values: Values | None = None, *, field: str = ""
) -> Response:
    """Go on to sign, or back to the hold's page with what refused it. ``field``: where that is told, if not at the act itself."""
    knowing.found(visit, id)
    try:
        return rehearse(visit, operation, {"hold": id, **(values or {})})
    except (Refused, UsageError) as error:
        return hold_page(visit, id, form.values, {field or operation.name: explained(error)}, status=422)


def tell(visit: Visit, values: Values) -> list[tuple[str, str]]:
    """What an act on a hold is about. Raises `NotFound` where this person may not know of it."""
    file = knowing.found(visit, values["hold"])
    told = [("Hold", file.id)]
    if visit.may(Act.READ_MATTERS):
        told.append(("Matter", file.matter.number))
    told += [(f"Keeps {name}", text) for name, text in scope_told(visit, file.scope)]
    if values.get("document"):
        told.append(("Document (SHA-256)", values["document"]))
    if values.get("days"):
        told.append(("Grace period", f"{words.plural(values['days'], 'day')}; until then it keeps"))
    return told


def done(values: Values) -> str:
    return f"/holds/{values['hold']}"
