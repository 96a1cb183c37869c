"""A certificate of media destroyed by hand, invented for tests, and the people who sign it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from retention import envelope, media
from retention.approval import Approval, given
from retention.document import encode
from retention.facts import Authority, Identity, Medium, Method, State, Statement
from retention.loader import load
from retention.media import Attested, Lot, Step, Trail
from retention.signed import Signed
from retention.signing import SigningKey
from tests.retention.certificate_facts import LIBRARY, key
from tests.retention.schedules import SOUND

ADA, BELA, CLEO, DORA = key("ada"), key("bela"), key("cleo"), key("dora")
NAMES = {
    ADA.public.keyid: "Ada Abel",
    BELA.public.keyid: "Bela Berg",
    CLEO.public.keyid: "Cleo Cole",
    DORA.public.keyid: "Dora Dahl",
}
DISK = Medium(
    make="Seagate", model="Barracuda", serial="ZA1", property_number="LIB-42", media_type="hard-disk", source="recorder at Main",
    categorization="confidential",
)  # fmt: skip


def at(hour: int) -> datetime:
    return datetime(2026, 11, 20, hour, tzinfo=UTC)


def lot(**changes: Any) -> Lot:
    schedule = load(SOUND, "policies.toml")
    authority = Authority.of(
        schedule, schedule.record_type("footage"), on=date(2026, 11, 20), minimum_met_on=date(2026, 2, 1)
    )
    said: dict[str, Any] = {
        "id": "M20261120-00000001", "authorities": (authority,), "earliest": date(2025, 1, 1), "latest": date(2025, 12, 31),
        "planned": at(8), "media": (DISK,),
    }  # fmt: skip
    return Lot(**(said | changes))


def signed(about: Lot, step: Step, by: SigningKey, when: datetime, **changes: Any) -> Approval:
    how: dict[str, Any] = {}
    if step in (Step.ATTEST, Step.WITNESS):
        how = {"method": Method.DESTROY, "technique": "disk shredder, 2 mm", "destroyed_at": at(10)}
    told: dict[str, Any] = {"at": when, "hold_epoch": 3} | how | changes
    said = media.said(about, step, **told)
    signature = Signed.own(by.public, by.sign(encode(dict(said))))
    return given(signature, by.public, said, person=NAMES[by.public.keyid], title="Custodian")


def steps(about: Lot, **by: SigningKey) -> tuple[Approval, ...]:
    who = {"plan": ADA, "approve": BELA, "attest": ADA, "witness": CLEO} | by
    hours = {"plan": 8, "approve": 9, "attest": 11, "witness": 12}
    return tuple(signed(about, step, who[step.value], at(hours[step.value])) for step in Step)


def facts(about: Lot | None = None, **changes: Any) -> Attested:
    about = about or lot()
    said: dict[str, Any] = {
        "identity": Identity(
            id=about.id, case=about.id, state=State.FINAL, issued=at(12), organization="Three Rivers Library District", custodian="Library Director",
            software="retention", version="1",
        ),
        "lot": about, "method": Method.DESTROY, "technique": "disk shredder, 2 mm", "destroyed_at": at(10), "signed": steps(about),
        "statement": Statement(holds_checked_at=at(12), hold_epoch=3),
        "evidence": Trail(digest=about.digest, signed_by=(LIBRARY.public.keyid,), checkpoint=None),
    }  # fmt: skip
    return Attested(**(said | changes))


def sealed(about: Lot | None = None, **changes: Any) -> bytes:
    """The envelope of a certificate that may be made."""
    return envelope.sign(media.statement(facts(about, **changes)), (LIBRARY,))
