"""``doctor``: looks at everything a run needs and says what to mend. Passes each store's hold gate once, and in buckets with Object
Lock puts a canary object and removes it; changes nothing else.

A check that could not be made is a failure, not a pass.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from console.cli import words
from console.cli.answer import Answer, Line, bad, doubtful, good
from console.cli.exits import worst
from console.cli.options import Here, Json
from console.cli.site import opened
from flows.wiring import Site
from retention.errors import (
    LedgerUnavailable,
    Refused,
    RetentionError,
    ScheduleInvalid,
    SettingsError,
    StoreUnavailable,
    VerificationFailed,
)
from retention.schedule import StoreDeclaration, TreeLocation
from retention.signing import load_public_keys
from storage.contract import Probing
from storage.files.row_vault import examine
from storage.ledger.cases import CaseState
from storage.paper.document_key import load_certificate
from storage.planning import criteria_for, store_of
from storage.statements import verify_statements

GATE_SECONDS = 5.0
GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the examination. ``exit_code``: what a failure ends the command with."""

    subject: str
    level: Level
    told: str
    hint: str = ""
    exit_code: int = 0


Subject = Callable[[Site], Iterator[Check]]


def doctor(*, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        checks = [check for name, subject in _SUBJECTS for check in _guarded(name, subject, site)]
    lines: list[Line] = []
    for check in checks:
        line = f"{check.level.value:<5} {check.subject}: {check.told}"
        lines.append({Level.OK: good, Level.WARN: doubtful, Level.FAIL: bad}[check.level](line))
        lines += [f"      hint: {check.hint}"] if check.hint else []
    exit_code = worst(check.exit_code for check in checks)
    body = {
        "ok": exit_code == 0,
        "checks": [
            {"subject": one.subject, "level": one.level.value, "told": one.told, "hint": one.hint} for one in checks
        ],
    }  # fmt: skip
    return Answer(command="doctor", body=body, lines=lines, exit_code=exit_code)


def _guarded(name: str, subject: Subject, site: Site) -> Iterator[Check]:
    """The checks of one subject; what they raise is a failed check, and the next subject goes on."""
    try:
        yield from subject(site)
    except RetentionError as error:
        yield _fail(name, error.message.splitlines()[0], error.hint, error.exit_code)
    except OSError as error:
        yield _fail(
            name,
            f"{error.filename}: {error.strerror}",
            "look at its owner and mode",
            LedgerUnavailable.exit_code,
        )


def _ok(subject: str, told: str) -> Check:
    return Check(subject=subject, level=Level.OK, told=told)


def _warn(subject: str, told: str, hint: str) -> Check:
    return Check(subject=subject, level=Level.WARN, told=told, hint=hint)


def _fail(subject: str, told: str, hint: str, exit_code: int) -> Check:
    return Check(subject=subject, level=Level.FAIL, told=told, hint=hint, exit_code=exit_code)


def _schedule(site: Site) -> Iterator[Check]:
    schedule = site.schedule
    told = f"{site.settings.policies}: {words.plural(len(schedule.record_types), 'record type')}, version {schedule.version}"
    yield _ok("schedule", told)


def _keys(site: Site) -> Iterator[Check]:
    folder = site.settings.state_dir
    yield from _private("state", folder, "a folder that others may enter")
    for name in ("sealing.key", "document-signing.pem", *site.signing_keys.files()):
        path = folder / name
        if path.exists():
            yield from _private("keys", path, "a key that others may read")
        else:
            yield _fail(
                "keys",
                f"{path} is missing",
                "a new site: retention db upgrade; otherwise restore it",
                LedgerUnavailable.exit_code,
            )
    for path in sorted(site.settings.keyring.expanduser().glob("*.pem")):
        yield from _private("keyring", path, "a person's key that others may read")
    public = site.settings.evidence / "retention.pub"
    if not public.exists():
        yield _warn(
            "keys",
            f"{public} is missing: certificates cannot be checked from their folder",
            "copy the public key there",
        )
    elif not set(site.signing_keys.public()) <= set(load_public_keys(public.read_bytes())):
        yield _fail(
            "keys",
            f"{public} does not hold the public half of every signing key",
            "restore the pair that belongs together",
            6,
        )
    else:
        told = " and ".join(f"{key.keyid[:24]}…" for key in site.signing_keys.public())
        yield _ok("keys", f"signing keys {told}, published beside the certificates")
    published = site.settings.evidence / "document-signing.crt"
    if not published.exists() or load_certificate(published.read_bytes()) != site.document_key.certificate:
        yield _warn(
            "keys",
            f"{published} is not the certificate of the key that signs PDFs",
            "copy document-signing.crt from the state folder there",
        )


def _private(subject: str, path: Path, wrong: str) -> Iterator[Check]:
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    if mode & GROUP_AND_OTHERS:
        remedy = f"chmod {'700' if path.is_dir() else '600'} {path}"
        yield _fail(subject, f"{path} has mode {mode:04o}: {wrong}", remedy, SettingsError.exit_code)
    elif status.st_uid != os.geteuid() and os.geteuid() != 0:
        yield _warn(subject, f"{path} belongs to somebody else", "give it to the user the service runs as")
    else:
        yield _ok(subject, f"{path} is private ({mode:04o})")


def _ledger(site: Site) -> Iterator[Check]:
    connection = site.ledger.connection
    connection.require_current()
    yield _ok("ledger", f"schema {connection.head()} is current")
    yield _ok("ledger", f"chain of {words.plural(connection.verify_chain(), 'event')} is unbroken")
    signed = words.plural(verify_statements(site.ledger), "decision")
    yield _ok("ledger", f"{signed} of people, each signed with a key the person had then")
    with connection.write(site.now()):  # a transaction that writes nothing: shows that it could
        pass
    yield _ok("ledger", "may be written to")


def _key_store(site: Site) -> Iterator[Check]:
    keys = site.keys
    site.require_keys()
    overview = keys.overview()
    yield _ok("key store", f"schema {keys.db.head()} is current, epoch {overview.epoch}")
    with keys.gate(at=site.now()):  # taken and let go without a change: shows that it could be written to
        pass
    yield _ok("key store", "may be written to")
    keys.require_root()
    yield _ok("key store", "its root is usable")
    strangers = keys.strangers()
    if strangers:
        yield _warn(
            "key store",
            f"roots lie here that it does not know: {', '.join(strangers)}",
            "it or they were restored: see docs/keys.md before you remove one",
        )
    if overview.unfinished or overview.outstanding:
        yield _warn(
            "key store", "its root is to be rotated", "retention keys rotate; the nightly run does it too"
        )
    if overview.pending_truncation is not None:
        yield _warn(
            "key store", "its log could not be emptied", "end what reads it, then: retention keys rotate"
        )
    if overview.types and not keys.has_backup():
        yield _warn(
            "key store", "there is no backup of it", "retention keys backup, and keep a copy elsewhere"
        )


def _clock(site: Site) -> Iterator[Check]:
    site.ledger.require_ready(site.now())
    yield _ok(
        "clock", f"not behind the ledger; the library's day is {site.today()} ({site.schedule.library.zone})"
    )


def _work(site: Site) -> Iterator[Check]:
    halted = site.ledger.cases.halted()
    if halted is not None:
        yield _warn("kill switch", f"engaged: {halted}", "lift it: retention halt --lift --as NAME")
    intents = site.ledger.batches.open_intents()
    if intents:
        told = f"{words.plural(len(intents), 'interrupted batch', 'interrupted batches')} to be read back"
        yield _warn("cases", told, "retention run --execute does it before anything else")
    for case in site.ledger.cases.list(state=CaseState.STARTED):
        site.spool.verify(case)
    yield _ok("cases", "the frozen manifests of open cases are whole")
    yield from _begun(site)


def _begun(site: Site) -> Iterator[Check]:
    """Cases that began, and of which the log says no end."""
    for begun in site.ledger.log.begun():
        case = site.ledger.cases.get(begun.subject)
        told = f"{case.id} ({case.record_type}) began on {begun.at:%Y-%m-%d}, and the log has no end of it"
        if case.state in (CaseState.STARTED, CaseState.RETURNED):
            yield _warn("cases", told, "unless a run is working on it: retention run --execute")
        else:
            yield _fail("cases", told, "compare the ledger with its backup", VerificationFailed.exit_code)


def _stores(site: Site) -> Iterator[Check]:
    for store in site.schedule.stores:
        yield from _guarded(f"store {store.name}", partial(_store, declared=store), site)


def _store(site: Site, declared: StoreDeclaration) -> Iterator[Check]:
    subject = f"store {declared.name}"
    store = store_of(site.stores, declared.name)
    fatal = False
    if isinstance(store, Probing):
        store.probe()
    for record_type in site.schedule.record_types:
        for location in record_type.locations:
            if location.store != declared.name:
                continue
            for finding in store.check(criteria_for(site.schedule, record_type, location.name, site.today())):
                told = f"{record_type.id}/{location.name}: {finding.message}"
                fatal = fatal or finding.fatal
                yield (
                    _fail(subject, told, finding.hint, ScheduleInvalid.exit_code)
                    if finding.fatal
                    else _warn(subject, told, finding.hint)
                )
    if not fatal:
        yield _ok(subject, "answers, and its locations are as the schedule says")
    try:
        store.barrier(GATE_SECONDS)
    except StoreUnavailable as error:
        yield _fail(
            subject, f"its hold gate could not be passed: {error.message}", error.hint, Refused.exit_code
        )
    else:
        yield _ok(subject, "its hold gate was passed")


def _vaults(site: Site) -> Iterator[Check]:
    """What was copied into the evidence vaults is there, and is what was copied."""
    names = {
        location.store
        for record_type in site.schedule.record_types
        for location in record_type.locations
        if isinstance(location, TreeLocation) and location.vault_of is not None
    }
    for name in sorted(names):
        yield from _guarded(f"vault {name}", partial(_vault, name=name), site)


def _vault(site: Site, name: str) -> Iterator[Check]:
    # How many copies there are is nobody's business here: it would tell of holds that some may not know of.
    found = examine(site.stores.root_of(name))
    for count, what in (
        (found.missing, "missing"),
        (found.changed, "not what was copied"),
        (found.unreadable, "named in a line of its index that cannot be read"),
    ):
        if count:
            told = f"{words.plural(count, 'copy', 'copies')} {'is' if count == 1 else 'are'} {what}"
            hint = "restore the vault from its backup; tell counsel"
            yield _fail(f"vault {name}", told, hint, VerificationFailed.exit_code)
    if found.sound:
        yield _ok(f"vault {name}", "what was copied is there, and is what was copied")


_SUBJECTS: tuple[tuple[str, Subject], ...] = (
    ("schedule", _schedule),
    ("keys", _keys),
    ("ledger", _ledger),
    ("key store", _key_store),
    ("clock", _clock),
    ("cases", _work),
    ("stores", _stores),
    ("vaults", _vaults),
)
