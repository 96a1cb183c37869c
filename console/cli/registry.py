"""Every command of ``retention``: its name, where it is implemented, and what it does in words. Imports none of them.

The one place of late imports: a command's module is loaded when the command is called (or its own help is asked for), so that
``retention --help`` and an offline verification need neither a database library nor the scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any, cast

from cyclopts import App, Group

from console.cli.session import Session
from retention.errors import UsageError
from retention.problems import did_you_mean, quote


@dataclass(frozen=True, slots=True)
class Command:
    """``name``: with its group's, as typed. ``path``: module and function."""

    name: str
    path: str
    help: str


GROUPS = {
    "hold": "Legal holds: a duty to preserve beats every rule.",
    "case": "Disposition cases: what a run wants to destroy, and who approved it.",
    "certificate": "Certificates of destruction.",
    "log": "The transparency log: what was certified, in an order that nobody can change afterwards.",
    "person": "People who decide, and their signing keys.",
    "db": "The ledger.",
    "serve": "Long-running services.",
}

COMMANDS = (
    Command("check", "console.cli.check:check", "Check the retention schedule; every problem with its line."),
    Command("schema", "console.cli.check:schema", "Write the JSON Schema of policies.toml."),
    Command("explain", "console.cli.explain:explain", "Say whether one record stays or goes, and why."),
    Command(
        "run",
        "console.cli.run:run",
        "Apply the schedule: say what it would destroy, or with --execute destroy it.\n\n"
        "Without --execute nothing is touched, neither in a store nor in the ledger.",
    ),
    Command(
        "hold place",
        "console.cli.hold:place",
        "Place a hold: effective when the command returns.\n\n"
        "The scope's options narrow it: all that are given must match, and within one option any value. A record whose "
        "date or branch is not known, or that may be about anybody, counts as in scope. A second custodian confirms it: retention hold confirm.",
    ),
    Command("hold confirm", "console.cli.hold_life:confirm", "Confirm a hold, as the second custodian."),
    Command(
        "hold release",
        "console.cli.hold_life:release",
        "Release a hold: two custodians, a document, and a grace period.\n\n"
        "The first call requests the release and needs the document that ends the duty to preserve. A second custodian's call "
        "approves it and starts the grace period; until that ends the hold keeps everything it kept.",
    ),
    Command("hold list", "console.cli.hold_life:list_", "List the holds in force."),
    Command("hold show", "console.cli.hold_life:show", "Show the full record and history of a hold."),
    Command("case list", "console.cli.case:list_", "List disposition cases, newest first."),
    Command("case show", "console.cli.case:show", "Show a case: counts, brakes, approvals, outcomes."),
    Command(
        "case approve",
        "console.cli.case:approve",
        "Approve a case: sign what it wants to destroy.\n\n"
        "The signature covers this manifest under this schedule. A hold placed later that touches the case makes it void.",
    ),
    Command("case return", "console.cli.case:return_", "Send a case back: nothing is destroyed under it."),
    Command("certificate list", "console.cli.certificate:list_", "List certificates, newest first."),
    Command("certificate show", "console.cli.certificate:show", "Show what a certificate says."),
    Command(
        "certificate verify",
        "console.cli.verify:verify",
        "Verify certificates from their files alone: no ledger, no settings, no network.",
    ),
    Command(
        "certificate export",
        "console.cli.certificate:export",
        "Copy a certificate, its leaves and the public key to a folder.",
    ),
    Command(
        "certificate open",
        "console.cli.evidence:open_",
        "Prove what became of one record, and nothing about any other.\n\n"
        "Works until the key of the certificate's leaves expires (RETENTION_OPENING_DAYS). The file it writes names the record.",
    ),
    Command(
        "certificate bundle",
        "console.cli.evidence:bundle",
        "Make the folder to hand over: a certificate and all it takes to check it.",
    ),
    Command(
        "certificate keys",
        "console.cli.evidence:keys",
        "List the library's signing keys and since when they sign, or introduce new ones.",
    ),
    Command(
        "certificate ordinary-course",
        "console.cli.ordinary_course:ordinary_course",
        "Write the signed statement for counsel: what was destroyed in the ordinary course, and whether before service.\n\n"
        "It neither stores nor prints the patron's name, and does not say whether a record of theirs existed.",
    ),
    Command("log show", "console.cli.log:show", "Show the log's size, root, key and last time stamp."),
    Command(
        "log verify",
        "console.cli.log:verify",
        "Verify the whole log: signature, every tile and entry, and the ledger's rows and chain of events.",
    ),
    Command("log prove", "console.cli.log:prove", "Prove that a certificate is in the log."),
    Command(
        "log consistency", "console.cli.log:consistency", "Prove that the log continues an older checkpoint."
    ),
    Command(
        "person add",
        "console.cli.person:add",
        "Add a person and make their signing key.\n\n"
        "The private key is written once, readable by its owner only, and kept nowhere else.",
    ),
    Command("person list", "console.cli.person:list_", "List the people and their public keys."),
    Command(
        "db upgrade",
        "console.cli.upkeep:upgrade",
        "Make or upgrade the ledger and the keys of this site; keeps what is there.",
    ),
    Command(
        "db check",
        "console.cli.upkeep:check",
        "Check the ledger: schema, chain of events, interrupted batches.",
    ),
    Command(
        "halt", "console.cli.upkeep:halt", "Engage the kill switch: nothing is destroyed until it is lifted."
    ),
    Command(
        "serve flows", "console.cli.serve:flows", "Run the nightly schedule and the reminders until stopped."
    ),
    Command(
        "doctor",
        "console.cli.doctor:doctor",
        "Look over settings, ledger, keys, clock and stores, and say what to mend.",
    ),
    Command("demo", "console.cli.demo:demo", "Show the whole way of a record on an invented library."),
)

EPILOGUE = (
    "Exit codes: 0 done, 1 unexpected, 2 usage, 3 some not destroyed or unknown, 4 schedule invalid, "
    "5 refused by a rule, 6 verification failed, 7 ledger or store unavailable, 130 interrupted."
)


def build(session: Session) -> App:
    """The command line, with every command registered by name."""
    options = Group("Options", sort_key=1)
    app = App(
        name="retention",
        help="Records retention and secure destruction for public libraries.",
        help_epilogue=EPILOGUE,
        help_format="plaintext",
        version=lambda: f"retention {version('retention')}",
        console=session.out,
        error_console=session.err,
        group_parameters=options,
    )
    groups = {name: App(name=name, help=text) for name, text in GROUPS.items()}
    for group in groups.values():
        app.command(group)
    for command in COMMANDS:
        parent, _, own = command.name.rpartition(" ")
        (groups[parent] if parent else app).command(command.path, name=own, help=command.help)
    return app


def no_such_command(given: Sequence[str]) -> UsageError:
    """What to say of a command that does not exist, with the nearest one that does."""
    group = given[0] if given and given[0] in GROUPS else ""
    word = next((word for word in given[1 if group else 0 :] if not word.startswith("-")), "")
    known = [command.name for command in COMMANDS if command.name.startswith(f"{group} ".lstrip())]
    own = {name.removeprefix(f"{group} ").partition(" ")[0] for name in known}
    hint = did_you_mean(word, own) or f"see: retention {group} --help".replace("  ", " ")
    return UsageError(f"there is no command {quote(f'{group} {word}'.strip())}", hint)


def later(path: str) -> Callable[..., Any]:
    """A function that is heavy to import, loaded now: ``module:function``."""
    module, _, name = path.partition(":")
    return cast("Callable[..., Any]", getattr(import_module(module), name))
