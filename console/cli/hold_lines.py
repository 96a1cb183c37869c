"""A hold's record in words and as facts. The patrons it is about are counted; their ids are shown only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from console.cli import words
from console.cli.answer import Line, Table, day, heading, moment
from retention.holds import Matter, Scope
from storage.ledger.holds import HoldFile
from storage.seeing import known_to


def hold_facts(
    file: HoldFile, links: Sequence[str] = (), *, subjects: bool = False, matters: bool = True
) -> dict[str, Any]:
    """The whole record. ``links``: those of its links that the reader may see. ``subjects``: with the patrons' ids. ``matters``: with
    what it is about, for a role that may read it."""
    links = list(links)
    matter, scope = file.matter, file.scope
    return {
        "id": file.id,
        "state": file.state.value,
        "sealed": file.sealed,
        "continuing": file.continuing,
        "taken_at": file.taken_at,
        "matter": _matter_facts(matter) if matters else None,
        "scope": {
            "record_types": sorted(scope.record_types),
            "stores": sorted(scope.stores),
            "subjects": sorted(one.reveal() for one in scope.subjects) if subjects else len(scope.subjects),
            "cameras": sorted(scope.cameras),
            "branches": sorted(scope.branches),
            "from": None if scope.since is None else _exact(scope.since),
            "until": None if scope.until is None else _exact(scope.until),
            "margin_before": scope.margin_before,
            "margin_after": scope.margin_after,
        },
        "requested_by": file.requested_by,
        "declined_because": file.declined_because if matters else None,
        "placed_by": file.placed_by or None,
        "placed_at": file.placed_at if file.placed_by else None,
        "provisional_until": file.provisional_until,
        "grace_until": file.grace_until,
        "review_on": file.review_on,
        "lapsed": file.lapsed,
        "need_to_know": list(known_to(file)) if file.sealed else [],
        "nondisclosure_until": file.nondisclosure_until,
        "links": links,
        "told": list(file.told),
        "unacknowledged": list(file.unacknowledged),
        "history": [
            {
                "action": step.action,
                "person": step.person,
                "document_sha256": step.document_digest,
                "at": step.at,
            }
            for step in file.actions
        ],
    }


def _matter_facts(matter: Matter) -> dict[str, Any]:
    return {
        "number": matter.number,
        "kind": matter.kind.value,
        "authority": matter.issuing_authority,
        "jurisdiction": matter.jurisdiction,
        "court": matter.court,
        "case_number": matter.case_number,
        "document_sha256": matter.document_digest,
        "issued_on": matter.issued_on,
        "received_at": matter.received_at,
        "served_by": matter.served_by,
        "officer": matter.officer,
        "agency": matter.officer_agency,
        "badge": matter.officer_badge,
        "counsel": matter.counsel.value,
    }


def _exact(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def hold_lines(
    file: HoldFile, links: Sequence[str] = (), *, subjects: bool = False, matters: bool = True
) -> list[Line]:
    """The whole record, for a person who may see it, with those of its links that they may see."""
    said = "nobody confirmed it in time" if file.lapsed else ""
    lines: list[Line] = [heading(f"hold {file.id}: {words.HOLD_STATES[file.state]}{said and f'; {said}'}")]
    lines += [f"  {name}: {value}" for name, value in _matter(file, matters) if value]
    lines += [f"  keeps {name}: {value}" for name, value in scope_words(file.scope, subjects=subjects)]
    if not file.continuing:
        when = f"on {moment(file.taken_at)}" if file.taken_at else "when it is in force everywhere"
        lines.append(f"  snapshot: what existed {when}")
    if file.provisional_until and file.state.value == "provisional":
        lapses = (
            "sealed, it keeps all the same"
            if file.sealed
            else "or it lapses, after a grace period like a release"
        )
        lines.append(f"  confirm by: {moment(file.provisional_until)} ({lapses})")
    if file.grace_until and file.state.value == "in-grace":
        lines.append(f"  its grace period ends: {moment(file.grace_until)}")
    lines += [
        f"  {name}: {value}"
        for name, value in (
            ("declined because", file.declined_because if matters else ""),
            ("linked with", ", ".join(links)),
            ("told", ", ".join(file.told)),
            ("not acknowledged yet by", ", ".join(file.unacknowledged)),
        )
        if value
    ]
    if file.state.keeps:
        lines.append(f"  review on: {day(file.review_on) or 'no day set'}")
    if file.actions:
        rows = [
            (
                moment(step.at),
                words.HOLD_ACTIONS.get(step.action, step.action),
                step.person,
                (step.document_digest or "")[:16],
            )
            for step in file.actions
        ]
        lines.append(Table(heads=("when", "what", "who", "document"), rows=rows, whole=frozenset({0})))
    return lines


def _matter(file: HoldFile, matters: bool) -> list[tuple[str, str]]:
    secrecy = [
        ("sealed", f"shown only to {', '.join(known_to(file))}" if file.sealed else ""),
        ("not to be told until", day(file.nondisclosure_until)),
    ]
    if not matters:
        return [("matter", "shown to those who may read it: --as NAME"), *secrecy]
    matter = file.matter
    officer = ", ".join(
        filter(
            None,
            (matter.officer, matter.officer_agency, matter.officer_badge and f"badge {matter.officer_badge}"),
        )
    )
    return [
        ("matter", f"{matter.number} ({matter.kind.value.replace('-', ' ')})"),
        ("authority", ", ".join(filter(None, (matter.issuing_authority, matter.jurisdiction)))),
        ("court", ", ".join(filter(None, (matter.court, matter.case_number)))),
        ("document", f"SHA-256 {matter.document_digest}" if matter.document_digest else ""),
        ("issued on", day(matter.issued_on)),
        ("received", moment(matter.received_at)),
        ("served by", matter.served_by or ""),
        ("officer", officer),
        ("counsel", matter.counsel.value),
        *secrecy,
    ]


def scope_words(
    scope: Scope, *, subjects: bool = False, called: Callable[[str], str] = str, told: Callable[[datetime], str] = _exact
) -> list[tuple[str, str]]:  # fmt: skip
    """What it keeps, a line per restriction. ``called``: a record type by its id; ``told``: a moment."""
    people = words.plural(len(scope.subjects), "patron")
    if subjects:
        people = ", ".join(sorted(one.reveal() for one in scope.subjects))
    found = [
        ("record types", ", ".join(sorted(called(one) for one in scope.record_types))),
        ("stores", ", ".join(sorted(scope.stores))),
        ("subjects", people if scope.subjects else ""),
        ("cameras", ", ".join(sorted(scope.cameras))),
        ("branches", ", ".join(sorted(scope.branches))),
        ("from", "" if scope.since is None else told(scope.since)),
        ("until", "" if scope.until is None else told(scope.until)),
        ("margin before", str(scope.margin_before) if scope.margin_before else ""),
        ("margin after", str(scope.margin_after) if scope.margin_after else ""),
    ]
    return [(name, value) for name, value in found if value]
