from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest
import rfc8785

from retention import envelope, signing
from retention.certificate import Certificate, statement
from retention.document import JSON
from retention.errors import UsageError
from retention.facts import Window
from retention.steps import OPENING, STEPS
from retention.verify import Report, Result, main, verify
from tests.retention import media_facts
from tests.retention.authenticator import by_passkeys
from tests.retention.certificate_facts import (
    COUNSEL,
    DIRECTOR,
    KEYS,
    LEAVES,
    LIBRARY,
    approved,
    at,
    certificate,
    facts,
    place,
    sealed,
    standing,
)

ROOM = Path(__file__).parents[2]
GOOD = sealed()


def results(report: Report) -> list[str]:
    return [step.result.value for step in report.steps]


def failed_step(data: bytes, leaves: bytes | None = LEAVES) -> int:
    report = verify(data, keys=KEYS, leaves=leaves)
    assert not report.ok
    assert [step.number for step in report.steps] == [number for number in STEPS if number != OPENING]
    assert all("\n" not in step.detail for step in report.steps)
    return next(step.number for step in report.steps if step.result is Result.FAILED)


def altered(**changes: Any) -> bytes:
    """A well-signed statement with parts of its JSON replaced: ``group__member=value``."""
    value = cast("dict[str, Any]", json.loads(rfc8785.dumps(statement(certificate()))))
    for path, to in changes.items():
        *way, last = path.split("__")
        place_ = value
        for name in way:
            place_ = place_[name]
        if to is None:
            del place_[last]
        else:
            place_[last] = to
    return envelope.sign(cast("dict[str, JSON]", value), [LIBRARY])


def test_a_good_certificate_passes_every_step_that_needs_no_log() -> None:
    report = verify(GOOD, keys=KEYS, leaves=LEAVES)
    assert results(report) == ["passed"] * 7 + ["not-checked"] * 3
    assert report.ok
    assert not report.complete
    assert report.certificate == "C-2026-0007-p"
    assert verify(GOOD, keys=KEYS, leaves=io.BytesIO(LEAVES)) == report


def test_without_leaves_step_6_is_not_checked_and_the_report_says_so() -> None:
    report = verify(GOOD, keys=KEYS, leaves=None)
    assert report.ok
    assert not report.complete
    assert report.steps[5].result is Result.NOT_CHECKED
    assert "not checked: step 6" in report.verdict


def test_nothing_to_verify_with_is_an_error() -> None:
    with pytest.raises(UsageError, match="no key given"):
        verify(GOOD, keys={}, leaves=LEAVES)
    with pytest.raises(UsageError, match="no person's key"):
        verify(GOOD, keys=KEYS, leaves=LEAVES, people={})


def test_step_1_refuses_what_is_not_readable_and_canonical() -> None:
    for data in (
        b"",
        b"{}",
        GOOD[:-1],
        GOOD + b"\n",
        b"[" * 10_000,
        GOOD.replace(b":", b": ", 1),
        b" " * 20_000_000,
    ):
        assert failed_step(data) == 1
    report = verify(b"", keys=KEYS, leaves=LEAVES)
    assert results(report) == ["failed", *["not-checked"] * 9]
    assert report.verdict == "not verified: step 1 (readable and canonical) failed: the envelope is empty"


def test_step_2_refuses_a_key_that_was_not_given() -> None:
    assert failed_step(envelope.sign(statement(certificate()), [DIRECTOR])) == 2
    swapped = {**json.loads(GOOD), "payload": json.loads(sealed(identity__id="X"))["payload"]}
    assert failed_step(rfc8785.dumps(swapped)) == 2


STEP_3: dict[str, dict[str, Any]] = {
    "no signer named": {"predicate__evidence__signedBy": []},
    "a signature taken away": {"predicate__evidence__signedBy": [LIBRARY.keyid, DIRECTOR.keyid]},
    "another statement type": {"_type": "https://in-toto.io/Statement/v0.1"},
    "another predicate type": {"predicateType": "https://slsa.dev/provenance/v1"},
    "no predicate": {"predicate": None},
    "predicate no object": {"predicate": []},
    "more members": {"more": 1},
    "another subject": {"subject": [{"name": "C-1", "digest": {"sha256": "0" * 64}}]},
    "two subjects": {"subject": []},
    "a group missing": {"predicate__people": None},
    "no summary": {"predicate__summary": None},
    "no sentences": {"predicate__sentences": []},
    "summary no object": {"predicate__summary": "x"},
    "a member missing": {"predicate__statement__holdEpoch": None},
    "a group of another kind": {"predicate__what": 7},
    "truth for a number": {"predicate__what__items": True},
    "number for truth": {"predicate__statement__retentionMet": 1},
    "text for a list": {"predicate__what__locations": "x"},
    "number for a text": {"predicate__identity__id": 1},
    "unknown state": {"predicate__identity__state": "revoked"},
    "impossible day": {"predicate__authority__on": "2026-02-30"},
    "short day": {"predicate__authority__on": "20260219"},
    "a time not in UTC": {"predicate__how__started": "2026-11-20T10:00:30+01:00"},
    "hour 25": {"predicate__how__started": "2026-11-20T25:00:30Z"},
    "approvals no objects": {"predicate__people__approvals": [1]},
    "approval statement no object": {"predicate__people__approvals": [{"statement": 1}]},
    "forbidden wording": {"predicate__verification__method": "unrecoverable"},
}


@pytest.mark.parametrize("name", STEP_3)
def test_step_3_refuses_what_is_not_a_whole_certificate(name: str) -> None:
    assert failed_step(altered(**STEP_3[name])) == 3


def test_step_3_says_how_many_fields_it_does_not_know() -> None:
    report = verify(
        altered(predicate__identity__later="x", predicate__new={"a": 1}), keys=KEYS, leaves=LEAVES
    )
    assert report.ok
    assert report.steps[2].detail == "2 field(s) unknown to this version were not checked"


@pytest.mark.parametrize(
    "change",
    [
        {"what__items": 9},
        {"evidence__leaves": 9},
        {"what__locations": (place(seen_absent=3),)},
        {
            "what__locations": (place(destroyed=0, already_absent=5, seen_absent=0),),
            "authority__past_maximum": 0,
        },
    ],
)
def test_step_4_refuses_counts_that_claim_too_much(change: dict[str, Any]) -> None:
    assert failed_step(sealed(**change)) == 4


def test_step_4_refuses_a_summary_that_does_not_follow() -> None:
    assert failed_step(altered(predicate__summary__destroyed=5)) == 4
    assert failed_step(altered(predicate__summary__method="destroy")) == 4
    assert failed_step(altered(predicate__exceptions__withheld=0)) == 4
    assert failed_step(altered(predicate__summary__result="passed")) == 4


@pytest.mark.parametrize(
    "approvals",
    [
        (),
        (approved(DIRECTOR, "Mei Lind"),),
        (approved(DIRECTOR, "Mei Lind"), approved(DIRECTOR, "Jo Reyes")),
        (approved(DIRECTOR, "Mei Lind"), approved(COUNSEL, "Jo Reyes", case="C-1")),
        (approved(DIRECTOR, "Mei Lind"), approved(COUNSEL, "Jo Reyes", items=7)),
    ],
)
def test_step_5_refuses_approvals_that_do_not_cover_the_case(approvals: tuple[Any, ...]) -> None:
    assert failed_step(sealed(people__approvals=approvals)) == 5


def test_step_5_takes_persons_keys_from_the_verifier_when_given() -> None:
    both = signing.key_ring(DIRECTOR.public, COUNSEL.public)
    good = verify(GOOD, keys=KEYS, leaves=LEAVES, people=both)
    assert good.steps[4].detail == "2 person(s), by own key, own key, keys as given"
    one = verify(GOOD, keys=KEYS, leaves=LEAVES, people=signing.key_ring(DIRECTOR.public))
    assert one.steps[4].result is Result.FAILED
    assert (
        verify(GOOD, keys=KEYS, leaves=LEAVES).steps[4].detail
        == "2 person(s), by own key, own key, keys as written in the certificate"
    )


def test_step_5_says_who_approved_by_passkey() -> None:
    passkeys = by_passkeys()
    mixed = (passkeys[0], approved(COUNSEL, "Jo Reyes"))
    for approvals, by in ((passkeys, "passkey, passkey"), (mixed, "passkey, own key")):
        people = signing.key_ring(*(one.key for one in approvals))
        report = verify(sealed(people__approvals=approvals), keys=KEYS, leaves=LEAVES, people=people)
        assert report.ok
        assert report.steps[4].detail == f"2 person(s), by {by}, keys as given"


@pytest.mark.parametrize(
    "wrong",
    [
        {"flags": 0x01},
        {"party": "evil.example"},
        {"client": {"type": "webauthn.create"}},
        {"client": {"challenge": ""}},
        {"client": {"crossOrigin": True}},
    ],
)
def test_step_5_refuses_a_passkeys_answer_that_is_no_approval(wrong: dict[str, Any]) -> None:
    assert failed_step(sealed(people__approvals=by_passkeys(**wrong))) == 5


def test_step_5_refuses_an_approval_whose_assertion_was_taken_away_or_given_to_another() -> None:
    first, second = by_passkeys(counter=7)
    for changed in (replace(first, assertion=None), replace(first, assertion=second.assertion)):
        assert failed_step(sealed(people__approvals=(changed, second))) == 5


def test_step_5_says_when_the_schedule_itself_is_the_approval() -> None:
    report = verify(sealed(authority__approval="standing", people__approvals=()), keys=KEYS, leaves=LEAVES)
    assert report.ok
    assert report.steps[4].detail == "standing approval: the schedule itself"


def test_step_6_refuses_leaves_that_were_changed_left_out_added_or_moved() -> None:
    changed = bytes([LEAVES[0] ^ 1]) + LEAVES[1:]
    moved = LEAVES[32:64] + LEAVES[:32] + LEAVES[64:]
    last = LEAVES + b"\xff" * 32
    for wrong in (
        b"",
        changed,
        LEAVES[32:],
        LEAVES[:-32],
        LEAVES[:-1],
        moved,
        last,
        LEAVES + b"x",
        LEAVES + LEAVES,
    ):
        assert failed_step(GOOD, wrong) == 6


def test_step_6_reads_little_more_of_an_endless_file_than_was_certified() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 1024 * 1024
            start, self.given = self.given, self.given + size
            return b"".join((start // 32 + i).to_bytes(32, "big") for i in range(size // 32))

    source = Endless()
    report = verify(GOOD, keys=KEYS, leaves=cast(Any, source))
    assert report.steps[5].detail == "the leaves file does not have one leaf per item"
    assert source.given == 9 * 32


@pytest.mark.parametrize(
    "change",
    [
        {"how__ended": at(9, 59)},
        {"statement__holds_checked_at": at(9, 59)},
        {"identity__issued": at(10, 30)},
        {"authority__on": date.max},
        {"authority__minimum_met_on": date(2026, 11, 20)},
        {"statement__no_pending_matter": False},
    ],
)
def test_step_7_refuses_dates_in_an_impossible_order(change: dict[str, Any]) -> None:
    assert failed_step(sealed(**change)) == 7


def test_step_7_computes_the_date_again() -> None:
    assert failed_step(altered(predicate__summary__irrecoverableFrom="2026-11-27")) == 7
    later = Window(copy="archive", store="tape", until=date(2030, 1, 1))
    assert verify(sealed(residual__windows=(later,)), keys=KEYS, leaves=LEAVES).ok


def test_a_changed_bit_in_any_byte_is_rejected() -> None:
    chance = random.Random(7)
    for position in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[position] ^= 1 << chance.randrange(8)
        assert not verify(bytes(changed), keys=KEYS, leaves=None).ok


def test_the_command_says_each_step_and_ends_by_cause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, key, leaves = tmp_path / "c.dsse.json", tmp_path / "library.pub", tmp_path / "c.leaves"
    file.write_bytes(GOOD)
    key.write_text(LIBRARY.public.line)
    leaves.write_bytes(LEAVES)
    assert main([str(file), "--key", str(key), "--leaves", str(leaves)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(".")[0] for line in lines[:10]] == [str(number) for number in range(1, 11)]
    assert lines[10] == "verified: certificate C-2026-0007-p; not checked: step 8, 9, 10"
    assert main([str(file), "--key", str(key), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["version"] == 1
    assert report["ok"]
    assert not report["complete"]
    leaves.write_bytes(LEAVES[32:])
    assert main([str(file), "--key", str(key), "--leaves", str(leaves)]) == 6
    assert "not verified: step 6" in capsys.readouterr().out
    persons = tmp_path / "persons.pub"
    persons.write_text(f"{DIRECTOR.public.line}\n{COUNSEL.public.line}\n")
    assert main([str(file), "--key", str(key), "--person-key", str(persons)]) == 0
    capsys.readouterr()
    for arguments in (
        [str(tmp_path / "missing"), "--key", str(key)],
        [str(tmp_path), "--key", str(key)],
        [str(file), "--key", str(file)],
        [str(file), "--key", str(tmp_path / "missing")],
        [str(file), "--key", str(key), "--leaves", str(tmp_path / "missing")],
    ):
        assert main(arguments) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert "Traceback" not in said.err
    with pytest.raises(SystemExit) as ended:
        main([str(file)])
    assert ended.value.code == 2


ALONE = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        allowed = sys.stdlib_module_names | {"retention", "cryptography", "rfc8785", "_cffi_backend"}
        if top not in allowed and not top.startswith("_sysconfigdata"):
            raise ImportError(f"{name} is not there on an auditor's machine")
sys.meta_path.insert(0, Wall())
import runpy
sys.argv = ["verify", *sys.argv[1:]]
runpy.run_module("retention.verify", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (GOOD, "verified: certificate C-2026-0007-p; not checked: step 6"),
        (
            media_facts.sealed(),
            "5. approvals: passed: planned, approved, attested and witnessed; keys as given",
        ),
    ],
    ids=["read back", "by hand"],
)
def test_it_runs_alone_where_nothing_else_is_installed(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "c.dsse.json").write_bytes(data)
    (tmp_path / "library.pub").write_bytes(LIBRARY.public.pem)
    people = (DIRECTOR, COUNSEL, media_facts.ADA, media_facts.BELA, media_facts.CLEO)
    (tmp_path / "people.pub").write_text("".join(f"{one.public.line}\n" for one in people))
    command = [
        sys.executable,
        "-c",
        ALONE,
        "c.dsse.json",
        "--key",
        "library.pub",
        "--person-key",
        "people.pub",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOM)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    assert said in done.stdout


BY = {
    "own key": GOOD,
    "passkey": sealed(people__approvals=by_passkeys()),
    "standing": sealed(authority__approval="standing", people__approvals=(), people__standing=standing()),
}


def test_step_5_says_which_standing_approval_it_was() -> None:
    report = verify(BY["standing"], keys=KEYS, leaves=LEAVES)
    assert report.ok
    assert f"standing approval {standing().id}: 2 person(s)" in report.steps[4].detail


@pytest.mark.parametrize("by", BY)
def test_the_documented_commands_verify_a_certificate_by_hand(tmp_path: Path, by: str) -> None:
    text = (ROOM / "docs" / "certificate.md").read_text(encoding="utf-8")
    section = text.split("## Verify by hand", 1)[1]
    blocks = [block.partition("```")[0] for block in section.split("```sh\n")[1:]]
    (tmp_path / "certificate.json").write_bytes(BY[by])
    (tmp_path / "certificate.leaves").write_bytes(LEAVES)
    (tmp_path / "library.pem").write_bytes(LIBRARY.public.pem)
    script = "set -e\n" + "".join(blocks)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Signature Verified Successfully") == 3
    assert certificate().evidence.root in done.stdout
    said = [line for line in done.stdout.splitlines() if line in ("true", "false")]
    assert said
    assert "false" not in said


def test_unchecked_facts_are_what_a_dishonest_library_could_sign() -> None:
    dishonest = statement(cast(Certificate, facts(what__items=9)))
    assert failed_step(envelope.sign(dishonest, [LIBRARY])) == 4
