"""The demo's people and what they do: a case that needs two, a subpoena, approvals, an attempt on a held record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from console.cli import words
from console.demo.expected import MARGIN, Seen
from console.demo.invented import HELD_CAMERA, HELD_FROM, HELD_PATRON, HELD_UNTIL, TODAY
from console.demo.telling import Teller
from flows import running
from flows.wiring import Site, write_secret
from retention.decide import CANNOT_DECIDE, Due, Keep, KeepReason, decide
from retention.holds import CounselVerification, Matter, MatterKind, Scope
from retention.outcomes import Outcome
from retention.permissions import Role
from retention.records import Personal
from retention.signing import generate
from storage.enforcing import Placed
from storage.ledger.cases import Case, CaseState
from storage.ledger.people import Person
from storage.planning import criteria_for, store_of
from storage.signatures import Signatory
from storage.worklist import tally

DIRECTOR = ("director", "Ruth Okafor", "Library Director")
DEPUTY = ("deputy", "Milo Lindqvist", "Deputy Director")
TWO_PERSON = "charges"
BRAKED = "computer-sign-ins"


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    director: Signatory
    deputy: Signatory


def add_people(site: Site) -> People:
    """The two custodians, each with a key of their own in the demo's keyring."""
    return People(director=_person(site, *DIRECTOR), deputy=_person(site, *DEPUTY))


def _person(site: Site, name: str, full_name: str, title: str) -> Signatory:
    key = generate(name)
    site.settings.keyring.mkdir(mode=0o700, exist_ok=True)
    write_secret(site.settings.keyring / f"{name}.pem", key.dump())
    person = Person(
        name=name, full_name=full_name, title=title, role=Role.CUSTODIAN, public_key=key.public.text, added_at=site.now()
    )  # fmt: skip
    site.ledger.people.add(person, actor="demo")
    return Signatory(person=person, key=key)


def open_two_person_case(site: Site) -> Case:
    """Step 1 for the record type that two people must approve: its list is frozen, and waits."""
    (record_type,) = running.chosen_types(site, [TWO_PERSON])
    _, case = running.begin(site, record_type, TODAY, running.Silent())
    assert case is not None
    return case


def place_holds(site: Site, people: People) -> tuple[Placed, Placed]:
    """The subpoena: one patron in the database, one camera hour. The director places, the deputy confirms."""
    matter = Matter(
        number="2026-CV-0117", kind=MatterKind.SUBPOENA, issuing_authority="District Court, Cedar County", jurisdiction="Colorado",
        court="District Court, Cedar County", case_number="26CV117", received_at=datetime(2026, 3, 31, 16, 5, tzinfo=UTC),
        counsel=CounselVerification.VERIFIED,
    )  # fmt: skip
    patron = Scope(stores=frozenset({"ils"}), subjects=frozenset({Personal(str(HELD_PATRON))}))
    hour = Scope(
        record_types=frozenset({"camera-footage"}), cameras=frozenset({HELD_CAMERA}), since=HELD_FROM.astimezone(UTC),
        until=HELD_UNTIL.astimezone(UTC), margin_before=MARGIN, margin_after=MARGIN,
    )  # fmt: skip
    first, second = (site.enforcing.place(scope, matter, people.director) for scope in (patron, hour))
    for placed in (first, second):
        site.holding.confirm(placed.file.id, people.deputy)
    return first, second


def tell_night(site: Site, tell: Teller) -> None:
    """One line per record type: what there was, what went, what stayed, what waits."""
    rows = []
    cases = {case.record_type: case for case in site.ledger.cases.list()}
    for record_type in site.schedule.record_types:
        case = cases.get(record_type.id)
        if case is None:
            continue
        counts = outcomes(site, case)
        population = sum(int(place["population"]) for place in case.survey.values())
        what = "destroyed, certified"
        if case.state is CaseState.STARTED:
            what = "stopped by a brake" if case.brakes else "waits for two people"
        rows.append(
            (record_type.title, f"{population:,}", f"{case.items:,}", f"{counts[Outcome.DESTROYED]:,}", what)
        )
    tell.table(("record type", "records", "due", "destroyed", ""), rows, right=frozenset({1, 2, 3}))


def tell_reasons(site: Site, tell: Teller) -> None:
    """Why the rest stays, over all record types; and what nobody could decide."""
    kept: Counter[str] = Counter()
    for case in site.ledger.cases.list():
        for place in case.survey.values():
            reasons: Mapping[str, int] = place["kept"]
            for reason, count in reasons.items():
                kept[words.reason_class(KeepReason(reason))] += count
    said = {
        **words.REASONS,
        words.NOT_ELIGIBLE: f"{words.REASONS[words.NOT_ELIGIBLE]} (their period is not over)",
    }
    rows = [(f"{count:,}", said[reason]) for reason, count in kept.most_common()]
    tell.table(("records", "stay because"), rows, right=frozenset({0}))
    doubtful = sum(
        count for reason, count in kept.items() if reason in {item.value for item in CANNOT_DECIDE}
    )
    tell.say(
        f"Where a needed fact is missing nothing is assumed: {doubtful:,} records are kept, and listed for somebody to look at."
    )


def lift_brake(site: Site, people: People, tell: Teller) -> None:
    """The director looks at the case that a limit stopped, and lifts the limit for this once."""
    (case,) = site.ledger.cases.list(state=CaseState.STARTED, record_type=BRAKED)
    tell.say(*(f"Sign-ins: stopped. {why[0].upper()}{why[1:]}." for why in case.brakes.values()))
    site.dispositions.approve(case.id, people.director, records=case.records, lifts=sorted(case.brakes))
    tell.say("The director expected that (it is the first run) and lifts the limit for this one case.")


def approve_together(site: Site, case: Case, people: People, tell: Teller) -> None:
    """Four eyes on the frozen list."""
    first = site.dispositions.approve(case.id, people.director, records=case.records)
    tell.say(
        f"Charges: the director signs the list of {case.items:,}. Enough? {'Yes' if first.ready else 'No: a second person has to'}."
    )
    second = site.dispositions.approve(case.id, people.deputy, records=case.records)
    tell.say(f"The deputy signs it too. Enough? {'Yes' if second.ready else 'No'}.")
    tell.check("one signature did not suffice, two by different people did", not first.ready and second.ready)


def try_held(site: Site, before: Seen, case: Case, hold: str, tell: Teller) -> None:
    """Ask about a held checkout, and look what became of the held charges that two people had approved."""
    key = max(before.tables["action_circulation"].held_and_due)
    (record_type,) = running.chosen_types(site, ["checkouts"])
    criteria = criteria_for(site.schedule, record_type, "circulations", TODAY)
    record = store_of(site.stores, "ils").read(criteria, str(key))
    assert record is not None
    with_hold = decide(record, criteria, site.ledger.holds.in_force().holds)
    without = decide(record, criteria, ())
    assert isinstance(without, Due)
    tell.say(f"Checkout {key} of that patron has been due since {without.since}. May it go?")
    tell.say(f"Asked as the destroyer asks, the answer is: keep, {words.REASONS[KeepReason.HELD]}, {hold}.")
    tell.check(
        "the hold alone keeps it: without it the answer would be “due”",
        isinstance(with_hold, Keep) and with_hold.reasons == (KeepReason.HELD,) and hold in with_hold.holds,
    )
    counts = outcomes(site, case)
    held = len(before.tables["money_grocery"].held_and_due)
    tell.say(
        f"{held} charges of that patron were on the list before the subpoena came, and two people signed the list."
    )
    tell.check(
        f"of {case.items:,} on the list {counts[Outcome.DESTROYED]:,} were destroyed; the patron's {held} were kept back",
        held > 0 and counts[Outcome.WITHHELD] == held and counts[Outcome.DESTROYED] == case.items - held,
    )


def outcomes(site: Site, case: Case) -> Counter[Outcome]:
    return tally(case, site.ledger.batches.settled(case.id)).counts


def spell(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:g} minutes"
