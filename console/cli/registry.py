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
    "standing": "Standing approvals: two people approve a rule instead of every case under it.",
    "certificate": "Certificates of destruction.",
    "export": "Exports: what left the library system, for whom, on what ground, and how old it is.",
    "media": "Paper, disks, thumb drives, laptops: destroyed by hand, attested by one person and witnessed by another.",
    "log": "The transparency log: what was certified, in an order that nobody can change afterwards.",
    "person": "People who decide, and their signing keys.",
    "keys": "The key store: keys of what is sealed, and how they die.",
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
        "withdraw",
        "console.cli.withdraw:withdraw",
        "Have sealed objects go before their period is over, by name and with a reason.\n\n"
        "Destroys nothing: they are items of the next case of their record type. A legal hold keeps them all the same.",
    ),
    Command(
        "seal",
        "console.cli.sealing:seal",
        "Seal what the schedule crypto-shreds: say what it would seal, or with --execute seal it.\n\n"
        "Each sealed copy is read back and compared before its plaintext is removed. Without --execute nothing is touched.",
    ),
    Command(
        "open",
        "console.cli.opening:open_",
        "Open a sealed object, as a custodian.\n\n"
        "Every opening is written into the ledger before the first byte is handed out. The plaintext goes to a new file that only "
        "its owner may read, outside of all stores, or to a pipe.",
    ),
    Command(
        "reseal",
        "console.cli.opening:reseal",
        "Seal sealed objects anew, as a custodian: other keys, other files.\n\n"
        "The old keys are destroyed, and made worthless in every older version of the key store by the next rotation.",
    ),
    Command(
        "hold place",
        "console.cli.hold:place",
        "Place a hold: effective when the command returns.\n\n"
        "The scope's options narrow it: all that are given must match, and within one option any value. A record whose "
        "date or branch is not known, or that may be about anybody, counts as in scope. A second custodian confirms it: retention hold confirm.",
    ),
    Command(
        "hold request",
        "console.cli.hold:request",
        "Record a request that nobody has decided on yet: an officer's verbal one, a letter nobody has verified.\n\n"
        "It keeps nothing until a custodian decides to place it: retention hold accept.",
    ),
    Command(
        "hold accept",
        "console.cli.hold:accept",
        "Decide to place a recorded request: effective when the command returns.",
    ),
    Command(
        "hold decline", "console.cli.hold_care:decline", "Decide not to place a recorded request, for good."
    ),
    Command("hold confirm", "console.cli.hold_life:confirm", "Confirm a hold, as the second custodian."),
    Command(
        "hold release",
        "console.cli.hold_life:release",
        "Release a hold: two custodians, a document, and a grace period.\n\n"
        "The first call requests the release and needs the document that ends the duty to preserve. A second custodian's call "
        "approves it and starts the grace period; until that ends the hold keeps everything it kept.",
    ),
    Command(
        "hold widen",
        "console.cli.hold_change:widen",
        "Have a hold keep more: effective when the command returns.\n\n"
        "Values are added to those that it has, times move outward; --any lifts a restriction. What it kept before it keeps throughout.",
    ),
    Command(
        "hold narrow",
        "console.cli.hold_change:narrow",
        "Have less kept: place a narrower hold of the same matter, and request the release of this one.\n\n"
        "The scope's options say what is still to be kept. The release needs what any release needs: a second custodian and a grace period.",
    ),
    Command("hold link", "console.cli.hold_change:link", "Say that holds belong together."),
    Command(
        "hold verify",
        "console.cli.hold_care:verify",
        "Record whether a request is what it claims to be, as counsel or custodian.",
    ),
    Command(
        "hold review",
        "console.cli.hold_care:review",
        "Record that a hold was looked at and stays, until the next review.",
    ),
    Command(
        "hold tell",
        "console.cli.hold_care:tell",
        "Put people on the list of those who were told to preserve.",
    ),
    Command(
        "hold acknowledge",
        "console.cli.hold_care:acknowledge",
        "Say that you know of a hold you were told of.",
    ),
    Command(
        "hold know", "console.cli.hold_care:know", "Change who may see a sealed hold, as somebody who may."
    ),
    Command(
        "hold unseal", "console.cli.hold_care:unseal", "Lift the seal of a hold, once its secrecy is over."
    ),
    Command(
        "hold document",
        "console.cli.hold_care:document",
        "Write a document of a hold to a new file.\n\nEvery opening is written into the ledger first.",
    ),
    Command("hold list", "console.cli.hold_life:list_", "List the holds in force."),
    Command("hold show", "console.cli.hold_life:show", "Show the full record and history of a hold."),
    Command(
        "forecast",
        "console.cli.forecast:forecast",
        "Say what comes due in the months to come, what is due already and how late it is.\n\n"
        "Counts once a day, and keeps the answer. Exit code 3 when a place could not be counted.",
    ),
    Command(
        "queue",
        "console.cli.queue:queue",
        "List what waits for you: cases, standing approvals, holds to confirm, releases, reviews.\n\n"
        "Exit code 3 when something waits, 0 when nothing does.",
    ),
    Command("case list", "console.cli.case:list_", "List disposition cases, newest first."),
    Command("case show", "console.cli.case:show", "Show a case: counts, brakes, approvals, outcomes."),
    Command(
        "case approve",
        "console.cli.case:approve",
        "Approve a case: sign what it wants to destroy.\n\n"
        "The signature covers this manifest under this schedule. A hold placed later that touches the case makes it void.",
    ),
    Command("case return", "console.cli.case:return_", "Send a case back: nothing is destroyed under it."),
    Command(
        "case withdraw",
        "console.cli.case:withdraw",
        "Take back your own approval of a case, until destroying begins: also while it is cooling off.",
    ),
    Command(
        "case items",
        "console.cli.case:items",
        "Show single items of an open case: a sample, or those named.\n\n"
        "Each with its position, by which it can be taken out. For a person's terminal: it names records.",
    ),
    Command(
        "case except",
        "console.cli.case:except_",
        "Take single items out of a case before destroying begins.\n\n"
        "They stay this time and are due again in the next case. Approvals given before no longer count.",
    ),
    Command(
        "case extend",
        "console.cli.case:extend",
        "Put the disposition of a case's record type off to a day; the case ends as returned.\n\n"
        "Never past the first maximum of its records: only a hold carries a record past its maximum.",
    ),
    Command(
        "standing list",
        "console.cli.standing:list_",
        "List the record types with a standing approval, or without.",
    ),
    Command(
        "standing propose",
        "console.cli.standing:propose",
        "Propose a standing approval of a rule, as the first of two people.\n\n"
        "It covers the rule exactly as it stands: any change of the record type in the schedule ends it.",
    ),
    Command(
        "standing agree", "console.cli.standing:agree", "Agree to a standing approval, as the second person."
    ),
    Command("standing revoke", "console.cli.standing:revoke", "End a standing approval at once."),
    Command(
        "sign",
        "console.cli.sign:sign",
        "Sign a statement that a page shows, where no passkey is at hand.\n\n"
        "Says on standard error what the statement says, and writes the signature to standard output, to be pasted into the page. "
        "Nothing is decided before that.",
    ),
    Command("certificate list", "console.cli.certificate:list_", "List certificates, newest first."),
    Command("certificate show", "console.cli.certificate:show", "Show what a certificate says."),
    Command(
        "certificate verify",
        "console.cli.verify:verify",
        "Verify certificates from their files alone: no ledger, no settings, no network.\n\n"
        "Unless --log names a bucket: then the settings of the log say how it is reached, and it is read.",
    ),
    Command(
        "certificate pdf",
        "console.cli.paper:pdf",
        "Print certificates as signed PDFs, to be signed off and filed.\n\n"
        "A page is made from the signed envelope alone, which is attached to it.",
    ),
    Command(
        "certificate export",
        "console.cli.certificate:export",
        "Copy a certificate, its leaves and the public key to a folder.",
    ),
    Command(
        "scan",
        "console.cli.scan:scan",
        "Look for personal data that nobody answers for: unregistered exports, caches, logs.\n\n"
        "Nothing is changed and no value is printed. Exit code 3 when a file with personal data is neither registered nor scheduled, "
        "or is overdue.",
    ),
    Command(
        "export register",
        "console.cli.export:register",
        "Enter an export in the registry.\n\n"
        "Its age is fixed by this: saving the file later makes it no younger, copying old times onto it no older.",
    ),
    Command(
        "export sight",
        "console.cli.export:sight",
        "Enter what the rules of the schedule find in folders and buckets now; the nightly run does the same.",
    ),
    Command(
        "export list", "console.cli.export:list_", "List the exports that are here or await an attestation."
    ),
    Command("export show", "console.cli.export:show", "Show what is known about an export."),
    Command(
        "export attest",
        "console.cli.export:attest",
        "Note that a recipient was asked to confirm destruction, or with --document that it did.",
    ),
    Command(
        "export withdraw",
        "console.cli.export:withdraw",
        "Note that people withdrew the consent that exports rest on, or gave it again.\n\n"
        "Only a keyed digest of each number is kept. Rows go where the schedule's conditions ask for withdrawn.",
    ),
    Command(
        "media plan",
        "console.cli.media:plan",
        "Plan the destruction of media, as a custodian.\n\n"
        "Refused while the minimum of a kind of record on them is not over, and where they are to be retained. Nothing may be destroyed yet.",
    ),
    Command(
        "media approve",
        "console.cli.media:approve",
        "Approve a planned lot, as the second custodian: it may be destroyed.",
    ),
    Command(
        "media attest",
        "console.cli.media:attest",
        "Attest that a lot was destroyed: by which method, how and when.\n\n"
        "The program destroys nothing and sees nothing: what is certified is what you and a witness sign.",
    ),
    Command(
        "media witness",
        "console.cli.media:witness",
        "Witness an attestation as somebody who saw it and neither approved nor attested it; the certificate is made with it.",
    ),
    Command("media list", "console.cli.media:list_", "List the lots of media, newest first."),
    Command(
        "media show", "console.cli.media:show", "Show a lot: its media, who signed what, and the next step."
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
        "person key",
        "console.cli.person:key",
        "Make a signing key of your own, at your own computer; its public half goes to whoever manages people.",
    ),
    Command(
        "person add",
        "console.cli.person:add",
        "Add a person and make their signing key, or take the public half of one that they made.\n\n"
        "A private key is written once, readable by its owner only, and kept nowhere else.",
    ),
    Command(
        "person role",
        "console.cli.person_life:role",
        "Give a person another role. What they signed before counts by the role they had then.",
    ),
    Command(
        "person disable",
        "console.cli.person_life:disable",
        "Disable a person: they can do nothing from now on.",
    ),
    Command("person enable", "console.cli.person_life:enable", "Enable a person again."),
    Command(
        "person invite",
        "console.cli.person_life:invite",
        "Make a one-time code with which a person sets their first password or passkey in the console.",
    ),
    Command(
        "person oidc",
        "console.cli.person_access:oidc",
        "Say what a person is called at the identity provider, so that they sign in to the console there.\n\n"
        "All their sessions end. Signing in there says who they are; approving still takes their key or passkey.",
    ),
    Command(
        "person retire-passkey",
        "console.cli.person_access:retire_passkey",
        "Retire a passkey: it signs nothing more. What it signed before stays signed.",
    ),
    Command(
        "person acknowledge-ethics",
        "console.cli.person_life:acknowledge_ethics",
        "Sign that you have read the code of ethics and keep to it this year.",
    ),
    Command("person show", "console.cli.person_life:show", "Show a person and what became of them."),
    Command("person list", "console.cli.person:list_", "List the people and their public keys."),
    Command(
        "keys status",
        "console.cli.keys:status",
        "Draw the tree of keys with its counts, and what is provisional until when.",
    ),
    Command(
        "keys rotate",
        "console.cli.keys:rotate",
        "Replace the root after keys were destroyed, and destroy the old one.\n\n"
        "Goes on wherever an earlier call was interrupted. Before the old root goes, a fresh backup is made, restored aside, "
        "and shown to open everything that survives.",
    ),
    Command("keys backup", "console.cli.keys:backup", "Back up the key store: one file, without the root."),
    Command(
        "keys drill",
        "console.cli.keys:drill",
        "Try an older backup with today's root: what was destroyed must not open, what survives must open from the newest.",
    ),
    Command("keys restore", "console.cli.keys:restore", "Put a backup back into an empty key store."),
    Command(
        "keys forget-share",
        "console.cli.keys:forget_share",
        "Destroy the local shares of old two-share roots: they are gone at once, without waiting for the KMS.",
    ),
    Command(
        "keys accept",
        "console.cli.keys_accept:accept",
        "Go on with a key store that was restored to an older state.\n\n"
        "Keys that were destroyed after it was saved live in it again. The next run supersedes the certificates concerned and "
        "destroys again what is due.",
    ),
    Command(
        "db upgrade",
        "console.cli.upkeep:upgrade",
        "Make or upgrade the ledger, the key store and the keys of this site; keeps what is there.",
    ),
    Command(
        "db check",
        "console.cli.upkeep:check",
        "Check the ledger: schema, chain of events, signatures of people, interrupted batches.",
    ),
    Command(
        "coverage",
        "console.cli.coverage:coverage",
        "Look through the stores for what no rule speaks about.\n\n"
        "Reads names of tables, columns and folders, never their contents. Ends with 3 when something uncovered looks like personal "
        "data, or a covered table has columns that nobody accepted.",
    ),
    Command(
        "halt", "console.cli.upkeep:halt", "Engage the kill switch: nothing is destroyed until it is lifted."
    ),
    Command(
        "serve flows",
        "console.cli.serve:flows",
        "Run the nightly schedule, the reminders and the keeper of holds until stopped.",
    ),
    Command(
        "serve holds",
        "console.cli.serve:holds",
        "Make holds effective that were placed in a page, and answer what pages ask, until stopped.\n\n"
        "`serve flows` does this too; several at once do no harm.",
    ),
    Command(
        "serve console",
        "console.cli.serve_console:console",
        "Run the pages on which people decide, until stopped.",
    ),
    Command(
        "doctor",
        "console.cli.doctor:doctor",
        "Look over settings, ledger, keys, clock and stores, and say what to mend.",
    ),
    Command("demo", "console.cli.demo:demo", "Show the whole way of a record on an invented library."),
)

EPILOGUE = (
    "Exit codes: 0 done, 1 unexpected, 2 usage, 3 some not destroyed or unknown or found where nobody answers for it, 4 schedule invalid, "
    "5 refused by a rule, 6 verification failed, 7 ledger, key store or store unavailable, 130 interrupted."
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
