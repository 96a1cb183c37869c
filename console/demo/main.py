"""The demo from beginning to end: builds an invented library, lets the product work on it, and checks every claim it makes.

Ends with 0 only when everything was as it should be.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from console.cli.session import console
from console.demo import expected, proof, story
from console.demo.files import build_files
from console.demo.folder import make_anew, only_here
from console.demo.invented import HELD_CAMERA, HELD_FROM, HELD_PATRON, HELD_UNTIL, TODAY, Size
from console.demo.library import build_database
from console.demo.night import run_flow
from console.demo.telling import Teller
from flows import quiet
from flows.server import PrefectServer
from flows.settings import Settings
from flows.wiring import Site
from retention.errors import Refused

Night = Callable[[Settings, str, tuple[str, ...]], None]
"""Runs the schedule: settings, day, record types (none: all)."""

UNEXPECTED = 1

NEXT = (
    ("case list", "what was done, and on whose word"),
    ("hold list", "what is held"),
    ("certificate list", "the evidence; its files lie in state/evidence"),
    (f"run --on {TODAY}", "what would go now: nothing, and why (destroys nothing)"),
    ("coverage", "what in the database and the folders no rule speaks about"),
    ("check", "the schedule: change policies.toml and see"),
    ("person invite director", "a code with which the director sets a password in the pages, at /invitation"),
    ("serve console", "the pages themselves, at http://localhost:8448"),
    ("serve holds", "beside them, in a second window: it answers what they ask of the stores"),
)


def run(folder: Path, *, quiet: bool = False, size: Size | None = None, night: Night | None = None) -> int:
    """Build the library in the folder and tell its story. Returns the exit code: 0 when every claim held, else 1.

    ``night``: runs the schedule instead of Prefect's server. Raises `Refused` for a folder that the demo did not make.
    """
    tell = Teller(console(sys.stdout), console(sys.stderr), quiet=quiet)
    make_anew(folder)
    with only_here(folder) as settings, ExitStack() as stack:
        runs = night or _prefect(settings, stack, tell)
        _tell(settings, size or Size(), runs, tell)
        if night is None:
            proof.prove_flows(settings, 2, tell)
    if tell.wrong:
        tell.verdict(
            f"{len(tell.wrong)} of {tell.facts} facts did NOT hold. The folder is left as it is: {folder}"
        )
        return UNEXPECTED
    _where_next(folder, tell)
    tell.verdict(
        f"All {tell.facts} facts held. Nothing held was destroyed, nothing was certified that is still there."
    )
    return 0


def _prefect(settings: Settings, stack: ExitStack, tell: Teller) -> Night:
    """Start Prefect's server now; its first start takes a while, in which the library can be built."""
    server = stack.enter_context(PrefectServer(quiet.home(settings.state_dir), scheduling=False))

    def night(settings: Settings, on: str, record_types: tuple[str, ...]) -> None:
        with tell.waiting("Prefect makes its database (the first time takes up to a minute)"):
            server.wait()
        os.environ["PREFECT_API_URL"] = server.url
        with tell.waiting("the schedule runs"):
            run_flow(settings, on, *record_types)

    return night


def _tell(settings: Settings, size: Size, night: Night, tell: Teller) -> None:
    site = Site(settings)
    try:
        _chapters(site, size, night, tell)
    finally:
        site.close()


def _chapters(site: Site, size: Size, night: Night, tell: Teller) -> None:
    settings, here = site.settings, Path()
    tell.title(
        "retention demo: the Cedar Valley Library District, which does not exist",
        f"Everything happens in {Path.cwd()}. In this story it is {TODAY:%A, %-d %B %Y}.",
    )
    with tell.waiting("building the library"):
        rows = build_database(here / "library.db", size)
        trees = build_files(here, size)
        site.set_up()
        if site.today() < TODAY:
            raise Refused(
                f"this machine's clock says {site.today()}: the demo plays on {TODAY}", "set the clock"
            )
        people = story.add_people(site)
        before = expected.look()

    tell.chapter("The library")
    tell.say(
        f"A database in the shape of Evergreen's: {rows['actor_usr']:,} patrons, {rows['action_circulation']:,} checkouts, bills, notices,",
        "reading histories, sign-ins, requests, bookings. Beside it, in folders:",
        f"{trees['exports']} files exported to vendors, {trees['computers']:,} files on public computers, {trees['cameras']:,} camera segments.",
        f"Its schedule is policies.toml: {len(site.schedule.record_types)} record types, each with its law, its period and its place.",
    )

    tell.chapter("Monday: a list that needs two people")
    case = story.open_two_person_case(site)
    tell.say(
        f"{case.items:,} settled charges are past the three fiscal years that the auditor needs. Money takes two people:",
        f"the list is frozen as case {case.id}, and nothing on it goes before both have signed.",
    )

    tell.chapter("Tuesday morning: a subpoena")
    patron, hour = story.place_holds(site, people)
    tell.say(
        f"{patron.file.id}  all that the database has about one patron (number {HELD_PATRON})",
        f"{hour.file.id}  camera “{HELD_CAMERA}”, {HELD_FROM:%-d %B, %H:%M} to {HELD_UNTIL:%H:%M}, and {story.spell(expected.MARGIN)} more on each side",
        f"The director placed them, the deputy confirmed them. They hold since the command returned, after {patron.seconds + hour.seconds:.2f} s.",
    )

    tell.chapter("Tuesday night: the schedule runs, as a Prefect flow")
    night(settings, TODAY.isoformat(), ())
    story.tell_night(site, tell)

    tell.chapter("Why the rest stays")
    story.tell_reasons(site, tell)

    tell.chapter("Wednesday: the director and the deputy decide")
    story.lift_brake(site, people, tell)
    story.approve_together(site, case, people, tell)
    night(settings, TODAY.isoformat(), (story.TWO_PERSON, story.BRAKED))
    tell.say("The scheduler has carried both cases out.")

    tell.chapter("An attempt to destroy what is held")
    story.try_held(site, before, case, patron.file.id, tell)

    tell.chapter("Proof: looked up in the database and the folders, not asked of the product")
    gone = proof.prove(before, tell)
    proof.prove_certificates(settings, site.ledger.certificates.list(), gone, tell)
    events = site.ledger.connection.verify_chain()
    tell.check(f"the ledger's {events} events form an unbroken chain", events > 0)
    proof.prove_quiet(settings, tell)


def _where_next(folder: Path, tell: Teller) -> None:
    program = Path(sys.executable).parent / "retention"
    near = os.path.relpath(program, folder)
    command = shlex.quote(near if len(near) < len(str(program)) else str(program))
    tell.chapter("Where to look next")
    tell.say(f"cd {shlex.quote(str(folder))}")
    for rest, what in NEXT:
        tell.say(f"{f'{command} {rest}':<{len(command) + 24}} {what}")
