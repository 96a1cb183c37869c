"""Verify a certificate of destruction, offline and alone: ``python -m retention.verify FILE --key PUB``.

Needs the standard library, `cryptography` and `rfc8785`; no ledger, network, clock or setting. Every step has a number, the
same here, in docs/certificate.md and in the tests:

1. readable and canonical: one DSSE envelope, one statement, in their only spelling;
2. signed by a key the verifier was given;
3. a certificate of destruction with all its fields, its subject bound to its Merkle root;
4. counts add up, and nothing is claimed that read-backs did not see;
5. approvals: signatures, persons, and that they are for this case, manifest and schedule;
6. the leaves file has the size and the Merkle root of the certificate;
7. dates are in an order in which the events can have happened;
8. it stands in the library's transparency log (`retention.verify_log`);
9. the log continues older checkpoints, the one in the certificate among them;
10. a time stamp over the log shows since when;
11. where a record was opened: its leaf is one of the certificate's (`retention.opening`).

A certificate that rests on what people attest (`retention.media`) goes through the same steps: 4 is that it claims nothing beyond
that, 5 is their four signatures, and there are no leaves.

Refuses to be satisfied with nothing: no key is an error, a step without input is *not checked*, which is not *passed*.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from retention import envelope as envelopes
from retention import media
from retention.certificate import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    approval_problems,
    count_problems,
    date_problems,
    derived,
    facts_of,
    wording_problems,
)
from retention.document import JSON, MAX_BYTES
from retention.errors import RetentionError, UsageError, VerificationFailed
from retention.facts import Facts, State
from retention.log_files import LogFolder
from retention.note import ED25519, load_keys
from retention.note import MAX_BYTES as MAX_NOTE
from retention.opening import Opening, is_opening
from retention.opening import read as read_opening
from retention.signing import MAX_KEY_FILE, PublicKey, key_ring, load_public_keys
from retention.steps import OPENING, STEPS, Result, Step, step, unchecked
from retention.tree import HASH_BYTES, ascending, root
from retention.verify_log import LogEvidence, log_steps

__all__ = ["STEPS", "Report", "Result", "Step", "main", "verify"]

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All steps, in order; the last one only about an opened record. ``certificate``: its id, once step 3 has passed."""

    steps: tuple[Step, ...]
    certificate: str | None = None
    withdraws: str | None = None
    """Id of an earlier certificate that this one says no longer holds."""

    @property
    def ok(self) -> bool:
        """Steps 1 to 5 and 7 passed, and no other failed. See `complete`."""
        passed = {step.number for step in self.steps if step.result is Result.PASSED}
        failed = {step.number for step in self.steps if step.result is Result.FAILED}
        return {1, 2, 3, 4, 5, 7} <= passed and not failed

    @property
    def complete(self) -> bool:
        """Every step passed: the leaves file, the log and a time stamp were given, too."""
        return all(step.result is Result.PASSED for step in self.steps)

    @property
    def verdict(self) -> str:
        """One line for people."""
        for done in self.steps:
            if done.result is Result.FAILED:
                return f"not verified: step {done.number} ({done.name}) failed: {done.detail}"
        said = f"; it says that {self.withdraws} no longer holds" if self.withdraws else ""
        if self.complete:
            return f"verified: certificate {self.certificate}, all steps{said}"
        left = ", ".join(str(step.number) for step in self.steps if step.result is Result.NOT_CHECKED)
        return f"verified: certificate {self.certificate}; not checked: step {left}{said}"

    def document(self) -> dict[str, JSON]:
        """The report as JSON, version 1."""
        steps: list[JSON] = [
            {"number": s.number, "name": s.name, "result": s.result.value, "detail": s.detail}
            for s in self.steps
        ]
        return {
            "version": 1,
            "certificate": self.certificate,
            "withdraws": self.withdraws,
            "ok": self.ok,
            "complete": self.complete,
            "steps": steps,
        }


def verify(
    envelope: bytes,
    *,
    keys: Mapping[str, PublicKey],
    leaves: bytes | IO[bytes] | None,
    people: Mapping[str, PublicKey] | None = None,
    log: LogEvidence | None = None,
    opening: Opening | None = None,
    retired: Mapping[str, datetime] | None = None,
) -> Report:
    """Check one certificate. Failures are results; only a call that cannot succeed raises `UsageError` (no keys).

    ``keys``: public keys of the library's certificates by key id. ``leaves``: the leaves file, whole or as a stream of
    which at most the certified size is read. ``people``: keys of the persons who may approve; without it, step 5 relies
    on the persons' keys written in the certificate. ``log``: what is known of the transparency log. ``opening``: a record
    to show in it. ``retired``: keys that signed until a time and no longer (`retention.key_history`).
    """
    if not keys:
        raise UsageError("no key given: a signature cannot be checked", "name the library's public key")
    if people is not None and not people:
        raise UsageError("no person's key given", "leave persons' keys out, or name at least one")
    done: list[Step] = []

    def passed(detail: str) -> None:
        done.append(Step(number=len(done) + 1, result=Result.PASSED, detail=detail))

    try:
        # 1. Readable and canonical
        signed = envelopes.read(envelope)
        statement = signed.statement()
        passed("canonical JSON")
        # 2. Signed by a given key
        signers = signed.check(keys)
        passed("valid signature by " + ", ".join(signers))
        # 3. A certificate of destruction with all its fields
        unknown: list[str] = []
        by_hand = statement.get("predicateType") == media.ATTESTED
        attested = media.facts_of(statement, unknown) if by_hand else None
        certified = None if by_hand else _certificate(statement, unknown)
        for whole in (attested, certified):
            if whole is not None:
                _require_signatures(
                    signed, whole[0].evidence.signed_by, whole[0].identity.issued, retired or {}
                )
        passed(
            f"{len(unknown)} field(s) unknown to this version were not checked"
            if unknown
            else "all fields known"
        )
    except VerificationFailed as error:
        done.append(Step(number=len(done) + 1, result=Result.FAILED, detail=error.message))
        why = f"step {len(done)} failed"
        rest = [unchecked(n, why) for n in STEPS if n > len(done) and (n != OPENING or opening is not None)]
        return Report(steps=(*done, *rest))
    # 4. to 11. say each for itself what is wrong
    if attested is not None:
        return _attested(envelope, *attested, done, people=people, log=log, opening=opening)
    assert certified is not None  # one of the two, or step 3 failed
    facts, claimed = certified
    checks: tuple[Callable[[], Step], ...] = (
        lambda: step(4, _counts(facts, claimed), f"{facts.what.items} items"),
        lambda: step(5, approval_problems(facts, people), _approved(facts, people)),
        lambda: _leaves(facts, leaves),
        lambda: step(7, _dates(facts, claimed), "in order"),
    )
    steps = (*done, *(check() for check in checks), *log_steps(envelope, facts, log))
    if opening is not None:
        steps += (step(OPENING, opening.problems(facts), opening.sentence),)
    identity = facts.identity
    withdraws = identity.supersedes if identity.state is State.SUPERSEDED else None
    return Report(steps=steps, certificate=identity.id, withdraws=withdraws)


def _attested(
    envelope: bytes, facts: media.Attested, claimed: Mapping[str, JSON], done: Sequence[Step], *,
    people: Mapping[str, PublicKey] | None, log: LogEvidence | None, opening: Opening | None,
) -> Report:  # fmt: skip
    """Steps 4 to 11 of a certificate that rests on what two people attest: nothing was read back, and there are no leaves."""
    count = len(facts.lot.media)
    keys = "as written in the certificate" if people is None else "as given"
    steps = [
        *done,
        step(
            4,
            media.claim_problems(facts, claimed),
            f"{count} {'medium' if count == 1 else 'media'}, attested by two persons; nothing was read back",
        ),
        step(
            5, media.step_problems(facts, people), f"planned, approved, attested and witnessed; keys {keys}"
        ),
        step(6, iter(()), "no leaves: the media stand in the certificate itself"),
        step(7, media.date_problems(facts), "in order"),
        *log_steps(envelope, facts, log),
    ]
    if opening is not None:
        steps.append(step(OPENING, iter(("an attested certificate has no records to open",)), ""))
    return Report(steps=tuple(steps), certificate=facts.identity.id)


def _require_signatures(
    signed: envelopes.Envelope, named: Sequence[str], issued: datetime, retired: Mapping[str, datetime]
) -> None:
    """Step 3: the certificate names the keys that sign it, and each of them did: no signature was taken away. None of them had
    been retired before it was issued."""
    there = {signature.keyid for signature in signed.signatures}
    if not named or not set(named) <= there:
        raise VerificationFailed("a signature that the certificate names is missing")
    if any(keyid in retired and issued >= retired[keyid] for keyid in named):
        raise VerificationFailed("it is signed with a key that had been retired when it was issued")


def _certificate(statement: dict[str, JSON], unknown: list[str]) -> tuple[Facts, dict[str, JSON]]:
    """Step 3."""
    if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE_TYPE:
        raise VerificationFailed("the statement is not a certificate of destruction of this version")
    if set(statement) != {"_type", "subject", "predicateType", "predicate"}:
        raise VerificationFailed("the statement does not have the four members of an in-toto statement")
    predicate = statement["predicate"]
    if not isinstance(predicate, dict):
        raise VerificationFailed("the predicate is not an object")
    claimed: dict[str, JSON] = {}
    for group, kind in (("summary", dict), ("exceptions", dict), ("sentences", list)):
        value = predicate.get(group)
        if not isinstance(value, kind) or not value:
            raise VerificationFailed(f"predicate.{group} is missing")
        claimed[group] = value
    facts = facts_of(statement, unknown)
    if statement["subject"] != [{"name": facts.identity.case, "digest": {"sha256": facts.evidence.root}}]:
        raise VerificationFailed("the subject is not the case with its Merkle root")
    for problem in wording_problems(facts):
        raise VerificationFailed(problem)
    return facts, claimed


def _counts(facts: Facts, claimed: Mapping[str, JSON]) -> Iterator[str]:
    """Step 4."""
    yield from count_problems(facts)
    for group, members in derived(facts).items():
        said = claimed[group]
        assert isinstance(members, dict)
        if not isinstance(said, dict):
            yield f"{group} is not an object"
        elif any(said.get(name, "") != members[name] for name in members if name not in _DATED):
            yield f"what {group} says does not follow from the facts"


_DATED = ("irrecoverableFrom", "decidedBy")


def _dates(facts: Facts, claimed: Mapping[str, JSON]) -> Iterator[str]:
    """Step 7."""
    yield from date_problems(facts)
    computed, said = derived(facts)["summary"], claimed["summary"]
    assert isinstance(computed, dict)
    if not isinstance(said, dict) or any(said.get(name, "") != computed[name] for name in _DATED):
        yield "the date from which nothing can be recovered does not follow from the residual windows"


def _approved(facts: Facts, people: Mapping[str, PublicKey] | None) -> str:
    standing = facts.people.standing
    given = [*facts.people.approvals, *(() if standing is None else (standing.proposed, standing.agreed))]
    if not given:
        return "standing approval: the schedule itself"
    rule = "" if standing is None else f"standing approval {standing.id}: "
    by = ", ".join(approval.by for approval in given)
    return f"{rule}{len(given)} person(s), by {by}, keys " + (
        "as written in the certificate" if people is None else "as given"
    )


def _leaves(facts: Facts, leaves: bytes | IO[bytes] | None) -> Step:
    """Step 6."""
    if leaves is None:
        return unchecked(6, "no leaves file given")
    source = io.BytesIO(leaves) if isinstance(leaves, bytes) else leaves
    return step(
        6, _leaf_problems(facts, source), f"{facts.evidence.leaves} leaves, root {facts.evidence.root}"
    )


def _leaf_problems(facts: Facts, source: IO[bytes]) -> Iterator[str]:
    try:
        found = root(ascending(_blocks(source, facts.evidence.leaves * HASH_BYTES)))
    except UsageError as error:
        yield error.message
        return
    except OSError:
        yield "the leaves file cannot be read"
        return
    if found.size != facts.evidence.leaves:
        yield "the leaves file does not have one leaf per item"
    elif found.hash.hex() != facts.evidence.root:
        yield "the leaves file has another Merkle root"


def _blocks(source: IO[bytes], size: int) -> Iterator[bytes]:
    """At most one hash more than certified is read."""
    left = max(size, 0) + HASH_BYTES
    while left and (block := source.read(min(_BLOCK, left))):
        left -= len(block)
        yield block


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Ends with 0 when verified, 6 when not, 2 when the call is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m retention.verify",
        description="Check a certificate of destruction offline, from its files alone.",
        epilog="Ends with 0 when verified, 6 when not, 2 when the call is wrong.",
    )
    parser.add_argument("file", type=Path, help="the certificate: a DSSE envelope")
    parser.add_argument(
        "--key", type=Path, action="append", required=True, help="file with the library's public key"
    )
    parser.add_argument(
        "--person-key", type=Path, action="append", help="file with keys of persons who may approve"
    )
    parser.add_argument("--leaves", type=Path, help="the leaves file kept beside the certificate")
    parser.add_argument("--log", type=Path, help="folder of the library's transparency log")
    parser.add_argument("--proof", type=Path, help="proof that the certificate is in the log (.tlog-proof)")
    parser.add_argument("--checkpoint", type=Path, action="append", help="an older checkpoint of the log")
    parser.add_argument("--json", action="store_true", help="write the report as JSON")
    options = parser.parse_args(arguments)
    try:
        report = _verify_files(options)
    except OSError as error:
        sys.stderr.write(f"error: cannot read {error.filename}: {error.strerror}\n")
        return UsageError.exit_code
    except RetentionError as error:
        sys.stderr.write(f"error: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return error.exit_code
    if options.json:
        sys.stdout.write(json.dumps(report.document(), indent=2) + "\n")
    else:
        for done in report.steps:
            sys.stdout.write(
                f"{done.number}. {done.name}: {done.result.value.replace('-', ' ')}: {done.detail}\n"
            )
        sys.stdout.write(report.verdict + "\n")
    return 0 if report.ok else VerificationFailed.exit_code


def _verify_files(options: argparse.Namespace) -> Report:
    """The certificate, or the opened record with the certificate inside, and what was named beside it."""
    data = _head(options.file, MAX_BYTES)
    opening = read_opening(data) if is_opening(data) else None
    envelope = data if opening is None else opening.envelope
    texts = [_head(path, MAX_KEY_FILE) for path in options.key]
    ring = key_ring(*(key for text in texts for key in load_public_keys(text)))
    persons = None
    if options.person_key is not None:
        persons = key_ring(
            *(key for path in options.person_key for key in load_public_keys(_head(path, MAX_KEY_FILE)))
        )
    keys = tuple(key for text in texts for key in load_keys(text))
    log = LogEvidence(
        keys=tuple(key for key in keys if key.kind == ED25519),
        witnesses=tuple(key for key in keys if key.kind != ED25519),
        files=None if options.log is None else LogFolder(options.log),
        proof=None if options.proof is None else _head(options.proof, MAX_NOTE),
        older=tuple(_head(path, MAX_NOTE) for path in options.checkpoint or ()),
    )
    if options.leaves is None:
        return verify(envelope, keys=ring, leaves=None, people=persons, log=log, opening=opening)
    with options.leaves.open("rb") as source:
        return verify(envelope, keys=ring, leaves=source, people=persons, log=log, opening=opening)


def _head(path: Path, limit: int) -> bytes:
    """At most one byte more than a reader takes, so that an endless file ends here."""
    with path.open("rb") as file:
        return file.read(limit + 1)


if __name__ == "__main__":
    sys.exit(main())
