"""Verify a certificate of destruction, offline and alone: ``python -m retention.verify FILE --key PUB``.

Needs the standard library, `cryptography` and `rfc8785`; no ledger, network, clock or setting. Every step has a number, the
same here, in docs/certificate.md and in the tests:

1. readable and canonical: one DSSE envelope, one statement, in their only spelling;
2. signed by a key the verifier was given;
3. a certificate of destruction with all its fields, its subject bound to its Merkle root;
4. counts add up, and nothing is claimed that read-backs did not see;
5. approvals: signatures, persons, and that they are for this case, manifest and schedule;
6. the leaves file has the size and the Merkle root of the certificate;
7. dates are in an order in which the events can have happened.

Refuses to be satisfied with nothing: no key is an error, a step without input is *not checked*, which is not *passed*.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from retention import envelope as envelopes
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
from retention.signing import MAX_KEY_FILE, PublicKey, key_ring, load_public_keys
from retention.tree import HASH_BYTES, ascending, root

STEPS = {
    1: "readable and canonical",
    2: "signed by a given key",
    3: "a certificate of destruction with all its fields",
    4: "counts add up and read-backs cover them",
    5: "approvals",
    6: "leaves file and Merkle root",
    7: "dates",
}
_BLOCK = 1024 * 1024


class Result(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One numbered step and what came of it. ``detail``: one line; for a failure or an unchecked step, why."""

    number: int
    result: Result
    detail: str

    @property
    def name(self) -> str:
        return STEPS[self.number]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All seven steps, in order. ``certificate``: its id, once step 3 has passed."""

    steps: tuple[Step, ...]
    certificate: str | None = None
    withdraws: str | None = None
    """Id of an earlier certificate that this one says no longer holds."""

    @property
    def ok(self) -> bool:
        """Steps 1 to 5 and 7 passed, and step 6 did not fail. See `complete`."""
        passed = {step.number for step in self.steps if step.result is Result.PASSED}
        failed = {step.number for step in self.steps if step.result is Result.FAILED}
        return {1, 2, 3, 4, 5, 7} <= passed and not failed

    @property
    def complete(self) -> bool:
        """All seven steps passed: the leaves file was given, too."""
        return {step.number for step in self.steps if step.result is Result.PASSED} == set(STEPS)

    @property
    def verdict(self) -> str:
        """One line for people."""
        for step in self.steps:
            if step.result is Result.FAILED:
                return f"not verified: step {step.number} ({step.name}) failed: {step.detail}"
        said = f"; it says that {self.withdraws} no longer holds" if self.withdraws else ""
        if self.complete:
            return f"verified: certificate {self.certificate}, all steps{said}"
        unchecked = ", ".join(str(step.number) for step in self.steps if step.result is Result.NOT_CHECKED)
        return f"verified: certificate {self.certificate}; not checked: step {unchecked}{said}"

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
) -> Report:
    """Check one certificate. Failures are results; only a call that cannot succeed raises `UsageError` (no keys).

    ``keys``: public keys of the library's certificates by key id. ``leaves``: the leaves file, whole or as a stream of
    which at most the certified size is read. ``people``: keys of the persons who may approve; without it, step 5 relies
    on the persons' keys written in the certificate.
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
        passed("valid signature by " + ", ".join(signed.check(keys)))
        # 3. A certificate of destruction with all its fields
        unknown: list[str] = []
        facts, claimed = _certificate(statement, unknown)
        passed(
            f"{len(unknown)} field(s) unknown to this version were not checked"
            if unknown
            else "all fields known"
        )
    except VerificationFailed as error:
        done.append(Step(number=len(done) + 1, result=Result.FAILED, detail=error.message))
        why = f"step {len(done)} failed"
        rest = [Step(number=n, result=Result.NOT_CHECKED, detail=why) for n in STEPS if n > len(done)]
        return Report(steps=(*done, *rest))
    # 4. to 7. say each for itself what is wrong
    checks: tuple[Callable[[], Step], ...] = (
        lambda: _step(4, _counts(facts, claimed), f"{facts.what.items} items"),
        lambda: _step(5, approval_problems(facts, people), _approved(facts, people)),
        lambda: _leaves(facts, leaves),
        lambda: _step(7, _dates(facts, claimed), "in order"),
    )
    identity = facts.identity
    withdraws = identity.supersedes if identity.state is State.SUPERSEDED else None
    return Report(steps=(*done, *(check() for check in checks)), certificate=identity.id, withdraws=withdraws)


def _step(number: int, problems: Iterator[str], detail: str) -> Step:
    problem = next(problems, None)
    if problem is not None:
        return Step(number=number, result=Result.FAILED, detail=problem)
    return Step(number=number, result=Result.PASSED, detail=detail)


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
    count = len(facts.people.approvals)
    if not count:
        return "standing approval: the schedule itself"
    return f"{count} person(s), keys " + ("as written in the certificate" if people is None else "as given")


def _leaves(facts: Facts, leaves: bytes | IO[bytes] | None) -> Step:
    """Step 6."""
    if leaves is None:
        return Step(number=6, result=Result.NOT_CHECKED, detail="no leaves file given")
    source = io.BytesIO(leaves) if isinstance(leaves, bytes) else leaves
    return _step(
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
    parser.add_argument("--json", action="store_true", help="write the report as JSON")
    options = parser.parse_args(arguments)
    try:
        report = _verify_files(options.file, options.key, options.person_key, options.leaves)
    except OSError as error:
        sys.stderr.write(f"error: cannot read {error.filename}: {error.strerror}\n")
        return UsageError.exit_code
    except RetentionError as error:
        sys.stderr.write(f"error: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return error.exit_code
    if options.json:
        sys.stdout.write(json.dumps(report.document(), indent=2) + "\n")
    else:
        for step in report.steps:
            sys.stdout.write(
                f"{step.number}. {step.name}: {step.result.value.replace('-', ' ')}: {step.detail}\n"
            )
        sys.stdout.write(report.verdict + "\n")
    return 0 if report.ok else VerificationFailed.exit_code


def _verify_files(file: Path, keys: list[Path], people: list[Path] | None, leaves: Path | None) -> Report:
    envelope = _head(file, MAX_BYTES)
    ring = key_ring(*(key for path in keys for key in load_public_keys(_head(path, MAX_KEY_FILE))))
    persons = None
    if people is not None:
        persons = key_ring(*(key for path in people for key in load_public_keys(_head(path, MAX_KEY_FILE))))
    if leaves is None:
        return verify(envelope, keys=ring, leaves=None, people=persons)
    with leaves.open("rb") as source:
        return verify(envelope, keys=ring, leaves=source, people=persons)


def _head(path: Path, limit: int) -> bytes:
    """At most one byte more than a reader takes, so that an endless file ends here."""
    with path.open("rb") as file:
        return file.read(limit + 1)


if __name__ == "__main__":
    sys.exit(main())
