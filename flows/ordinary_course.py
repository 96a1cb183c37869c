"""Gathers what a statement for counsel says (`retention.ordinary_course`) from the ledger and the signed certificates alone.

The patron is used to see which holds keep their records, and for nothing else: not stored, not printed, not signed. That
somebody looked is an event of the ledger, without the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any, cast

from flows.running import chosen_types
from flows.wiring import Site
from retention.envelope import read, sign
from retention.errors import UsageError
from retention.facts import Authority
from retention.media import facts_of
from retention.ordinary_course import ByHand, Destruction, Held, OrdinaryCourse, Series
from retention.records import Personal
from retention.schedule import RecordType
from storage.ledger.certificates import Certificate

ACTOR = "operator"


def state_ordinary_course(
    site: Site,
    *,
    subject: Personal[str],
    first: date,
    last: date,
    served: date,
    record_types: Iterable[str] = (),
) -> tuple[OrdinaryCourse, bytes]:
    """The statement and its signed envelope. Raises `UsageError` for a period or a record type that makes no sense."""
    now = site.now()
    if served > site.today():
        raise UsageError("the day of service has not come", "give --served as YYYY-MM-DD")
    chosen = chosen_types(site, record_types)
    names = {one.id for one in chosen}
    covering = [
        destruction
        for certificate in latest(site)
        if (destruction := _destruction(certificate, names, first, last)) is not None
    ]
    zone = site.schedule.library.zone
    before = [one for one in covering if one.ended.astimezone(zone).date() < served]
    by_hand = [
        one for certificate in reversed(site.ledger.certificates.attested()) for one in _by_hand(certificate, names, first, last)
    ]  # fmt: skip
    by_hand_before = [one for one in by_hand if one.destroyed_at.astimezone(zone).date() < served]
    held = [
        Held(hold=file.id, placed=file.placed_at)
        for file in site.ledger.holds.list()
        if not file.sealed and file.state.keeps and _keeps(file.scope.subjects, subject)
        and any(file.scope.touches(one.id, *location.stores) for one in chosen for location in one.locations)
    ]  # fmt: skip
    stated = OrdinaryCourse(
        organization=site.schedule.library.organization, custodian=site.schedule.library.custodian, issued=now, zone=zone.key,
        schedule_digest=site.schedule.digest, first=first, last=last, served=served, series=tuple(_series(site, one) for one in chosen),
        before_service=tuple(before), after_service=tuple(one for one in covering if one not in before),
        by_hand_before_service=tuple(by_hand_before), by_hand_after_service=tuple(one for one in by_hand if one not in by_hand_before),
        held=tuple(held),
    )  # fmt: skip
    envelope = sign(stated.statement(), site.signing_keys.signers())
    site.ledger.note(
        "subject.looked-up", actor=ACTOR, subject="ordinary-course", at=now,
        body={"statement": sha256(envelope).hexdigest(), "record_types": sorted(names)},
    )  # fmt: skip
    return stated, envelope


def latest(site: Site) -> list[Certificate]:
    """The latest certificate of every case, oldest first."""
    found: dict[str, Certificate] = {}
    for certificate in site.ledger.certificates.list(limit=1_000_000):
        if not certificate.attested:
            found.setdefault(certificate.case_id, certificate)
    return list(reversed(found.values()))


def _keeps(subjects: frozenset[Personal[str]], subject: Personal[str]) -> bool:
    return not subjects or subject in subjects


def _destruction(certificate: Certificate, names: set[str], first: date, last: date) -> Destruction | None:
    """What a certificate says, if it covers records of the period. Without inclusive dates it may cover any."""
    predicate = cast("dict[str, Any]", read(certificate.envelope).statement()["predicate"])
    what, authority, how = predicate["what"], predicate["authority"], predicate["how"]
    earliest, latest_ = (
        None if what[name] is None else date.fromisoformat(what[name]) for name in ("earliest", "latest")
    )
    if authority["recordType"] not in names:
        return None
    if earliest is not None and latest_ is not None and (latest_ < first or earliest > last):
        return None
    return Destruction(
        certificate=certificate.id, sha256=sha256(certificate.envelope).hexdigest(), record_type=authority["recordType"],
        on=date.fromisoformat(authority["on"]), earliest=earliest, latest=latest_, started=_time(how["started"]), ended=_time(how["ended"]),
        destroyed=predicate["summary"]["destroyed"],
    )  # fmt: skip


def _by_hand(certificate: Certificate, names: set[str], first: date, last: date) -> Iterator[ByHand]:
    """What a certificate of media says, if records of these kinds and of the period were on them."""
    facts, _ = facts_of(read(certificate.envelope).statement(), [])
    kinds = tuple(name for name in facts.lot.record_types if name in names)
    if kinds and facts.lot.earliest <= last and facts.lot.latest >= first:
        yield ByHand(
            certificate=certificate.id, sha256=sha256(certificate.envelope).hexdigest(), record_types=kinds, earliest=facts.lot.earliest,
            latest=facts.lot.latest, destroyed_at=facts.destroyed_at, media=len(facts.lot.media),
        )  # fmt: skip


def _series(site: Site, record_type: RecordType) -> Series:
    day = site.today()
    authority = Authority.of(site.schedule, record_type, on=day, minimum_met_on=day)
    return Series(
        record_type=record_type.id,
        title=record_type.title,
        rules=authority.rules,
        disposition=authority.disposition,
    )


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
