"""What an outsider gets: a folder that verifies, a record opened without the others, a log that only grows."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.certifying import Certifier
from tests.console.library import Library
from tests.storage.desk import behind_its_back, without_triggers


@pytest.fixture
def certificate(library: Library) -> Path:
    library.done("run", "--execute", "--record-type", "past-checkouts")
    (found,) = library.done("certificate", "list", "--json").json["certificates"]
    return Path(found["path"])


def id_of(certificate: Path) -> str:
    return certificate.name.removesuffix(".dsse.json")


def steps(said: Any) -> list[str]:
    return [one["result"] for one in said.json["certificates"][0]["steps"]]


def more(library: Library, *record_types: str) -> None:
    for record_type in record_types:
        library.done("run", "--execute", "--record-type", record_type)


def test_a_certificate_verifies_against_the_log_beside_it(library: Library, certificate: Path) -> None:
    said = library.done("certificate", "verify", certificate, "--json")
    assert steps(said) == ["passed"] * 9 + ["not-checked"]
    statement = library.done("certificate", "show", id_of(certificate), "--json").json["statement"]
    before = base64.b64decode(statement["predicate"]["evidence"]["checkpoint"]).decode()
    assert before.split("\n")[1] == "2", "before it stand the signing keys, and that its case began"


def test_the_log_is_shown_and_verified_with_and_without_the_ledger(
    library: Library, certificate: Path
) -> None:
    shown = library.done("log", "show", "--json").json
    assert shown["entries"] == shown["published"] == 4
    whole = library.done("log", "verify", "--json").json
    kinds = ("signing-keys", "case-started", "certificate-of-destruction", "events")
    assert whole["kinds"] == dict.fromkeys(kinds, 1)
    assert whole["begun"] == []
    assert whole["anchored"] == 1
    folder = certificate.parent / "log"
    alone = library.done("log", "verify", folder, "--json").json
    assert alone["root"] == shown["root"]
    assert "compare it with a key" in library.done("log", "verify", folder).err


def test_a_run_without_anything_due_enters_nothing(library: Library, certificate: Path) -> None:
    before = library.done("log", "show", "--json").json["entries"]
    more(library, "past-checkouts")
    assert library.done("log", "show", "--json").json["entries"] == before


def test_events_are_anchored_once_a_day(library: Library, certificate: Path) -> None:
    more(library, "camera-footage")
    assert library.done("log", "verify", "--json").json["anchored"] == 1
    library.now += timedelta(days=1)
    more(library, "camera-footage")
    assert library.done("log", "verify", "--json").json["anchored"] == 2


def test_a_case_that_began_and_did_not_end_shows_to_the_auditor_and_to_the_doctor(
    library: Library, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_given: Any, **_named: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Certifier, "certify", killed)
        assert library("run", "--execute", "--record-type", "camera-footage").code != 0
    cases = library.done("case", "list", "--json").json["cases"]
    (case,) = [one for one in cases if one["record_type"] == "camera-footage"]
    log = certificate.parent / "log"
    for words in (["log", "verify"], ["log", "verify", log]):
        (shown,) = library.done(*words, "--json").json["begun"]
        assert (shown["case"], shown["recordType"], shown["position"]) == (case["id"], "camera-footage", 4)
        assert f"case {case['id']} (camera-footage) began on 2035-06-15" in library.done(*words).out
    assert f"warn  cases: {case['id']} (camera-footage) began on 2035-06-15" in library("doctor").out
    more(library, "camera-footage")
    assert library.done("log", "verify", log, "--json").json["begun"] == []
    assert "began on" not in library("doctor").out


def test_a_ledger_that_says_a_case_ended_does_not_satisfy_the_log(
    library: Library, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who owns the database ends a case by hand, so that nothing certifies what it destroyed."""

    def killed(*_given: Any, **_named: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Certifier, "certify", killed)
        library("run", "--execute", "--record-type", "camera-footage")
    with behind_its_back(f"sqlite:///{library.root / 'state' / 'ledger.db'}") as connection:
        without_triggers(connection)
        connection.exec_driver_sql("UPDATE case_file SET state = 'closed' WHERE state = 'started'")
    said = library("log", "verify")
    assert said.code == 6
    assert "no end of it that stands in the log" in said.err
    assert "fail  cases: C" in library("doctor").out


def test_a_proof_stands_alone(library: Library, certificate: Path, tmp_path: Path) -> None:
    id = id_of(certificate)
    away = tmp_path / "away"
    away.mkdir()
    for name in (certificate.name, "../evidence/retention.pub"):
        shutil.copy(certificate.parent / name, away / Path(name).name)
    library.done("log", "prove", id, "--to", away / f"{id}.tlog-proof")
    assert library.done("log", "prove", id).out.encode() == (away / f"{id}.tlog-proof").read_bytes()
    said = library.done("certificate", "verify", away, "--json")
    assert steps(said)[7] == "passed"
    assert steps(said)[8] == "not-checked", "that the log only grew takes the log"


def test_an_older_checkpoint_shows_a_log_that_was_rolled_back_or_forked(
    library: Library, certificate: Path, tmp_path: Path
) -> None:
    log = certificate.parent / "log"
    old, older_log = tmp_path / "old", tmp_path / "older"
    shutil.copytree(log, older_log)
    more(library, "camera-footage")
    shutil.copy(log / "checkpoint", old)
    library.done("log", "consistency", older_log / "checkpoint")
    assert len(library.done("log", "consistency", older_log / "checkpoint", "--json").json["proof"]) > 0
    assert library.done("log", "verify", log, "--checkpoint", older_log / "checkpoint", "--json").json[
        "continues"
    ] == [4]
    key = certificate.parent / "retention.pub"
    calls: list[list[str | Path]] = [
        ["certificate", "verify", certificate, "--log", older_log, "--checkpoint", old],
        ["log", "verify", older_log, "--checkpoint", old, "--key", key],
        ["log", "consistency", old, "--log", older_log, "--key", key],
    ]
    for words in calls:
        said = library(*words)
        assert said.code == 6
        assert "rolled back" in said.out + said.err
    assert (
        "step 9" in library("certificate", "verify", certificate, "--log", older_log, "--checkpoint", old).out
    )


def test_files_that_were_torn_or_changed_are_named_and_repaired(library: Library, certificate: Path) -> None:
    tile = certificate.parent / "log" / "tile" / "entries" / "000.p" / "4"
    whole = tile.read_bytes()
    tile.write_bytes(whole[:-5])
    said = library("log", "verify")
    assert said.code == 6
    assert "cut" in said.err
    assert library.done("log", "verify", "--repair", "--json").json["repaired"] is True
    assert tile.read_bytes() == whole


def test_the_folder_to_hand_over_verifies_whole(library: Library, certificate: Path, tmp_path: Path) -> None:
    more(library, "camera-footage")
    folder = tmp_path / "handed"
    library.done("certificate", "bundle", id_of(certificate), "--to", folder)
    said = library.done("certificate", "verify", folder, "--json")
    assert steps(said) == ["passed"] * 9 + ["not-checked"]
    library.done("certificate", "bundle", id_of(certificate), "--to", folder)
    others = [one["id"] for one in library.done("certificate", "list", "--json").json["certificates"]]
    told = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert [id.encode() in told for id in others].count(True) == 1, "it holds no other certificate"


def test_the_readme_of_the_folder_checks_it_with_openssl_and_jq(
    library: Library, certificate: Path, tmp_path: Path
) -> None:
    more(library, "camera-footage")
    folder = tmp_path / "handed"
    library.done("certificate", "bundle", id_of(certificate), "--to", folder)
    text = (folder / "README.md").read_text(encoding="utf-8")
    script = "set -e\n" + "\n".join(block.partition("```")[0] for block in text.split("```sh\n")[1:])
    done = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Signature Verified Successfully") == 2
    assert "Verified OK" in done.stdout
    assert done.stdout.endswith("in the log\n")


def test_one_record_is_opened_and_proves_itself(library: Library, certificate: Path, tmp_path: Path) -> None:
    id = id_of(certificate)
    file = tmp_path / "one.opened.json"
    said = library.done("certificate", "open", id, "--record", "ils/loans/2", "--to", file, "--json")
    assert said.json["outcome"] == "destroyed"
    assert file.stat().st_mode & 0o777 == 0o600
    key = certificate.parent / "retention.pub"
    verified = library.done("certificate", "verify", file, "--key", key, "--json")
    assert steps(verified) == ["passed"] * 5 + ["not-checked", "passed"] + ["not-checked"] * 3 + ["passed"]
    assert "ils/loans/2" not in verified.out
    for other in ("ils/loans/9", "ils/loans/02", "loans/2", "exports/agency/x"):
        assert library("certificate", "open", id, "--record", other, "--to", tmp_path / "no").code == 5
    forged = json.loads(file.read_bytes())
    for change in ({"record": "ils/loans/3"}, {"outcome": "withheld"}, {"index": forged["index"] ^ 1}):
        file.write_text(json.dumps({**forged, **change}, separators=(",", ":"), sort_keys=True))
        wrong = library("certificate", "verify", file, "--key", key)
        assert wrong.code == 6
        assert "step 11" in wrong.out


def test_after_its_key_has_expired_a_certificate_verifies_and_opens_nothing(
    library: Library, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETENTION_OPENING_DAYS", "10")
    library.now += timedelta(days=9)
    more(library, "camera-footage")
    id = id_of(certificate)
    library.done("certificate", "open", id, "--record", "ils/loans/2", "--to", library.root / "one")
    library.now += timedelta(days=2)
    more(library, "camera-footage")
    assert not list(library.state.glob(f"cases/{id.rpartition('-')[0]}/evidence.key"))
    said = library("certificate", "open", id, "--record", "ils/loans/2", "--to", library.root / "two")
    assert said.code == 5
    assert "expired" in said.err
    assert steps(library.done("certificate", "verify", certificate, "--json"))[:9] == ["passed"] * 9


def test_new_signing_keys_are_vouched_for_by_the_old_ones(
    library: Library, certificate: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first.pub"
    shutil.copy(certificate.parent / "retention.pub", first)
    library.now += timedelta(hours=1)
    library.done("certificate", "keys", "--rotate")
    more(library, "camera-footage")
    listed = library.done("certificate", "keys", "--json").json["sets"]
    assert [one["until"] is None for one in listed] == [False, True]
    said = library.done("certificate", "verify", certificate.parent, "--key", first, "--json")
    assert len(said.json["certificates"]) == 2
    assert steps(said)[:9] == ["passed"] * 9
    (certificate.parent / "retention.keys").unlink()
    assert library("certificate", "verify", certificate.parent, "--key", first).code == 6
    assert library.done("log", "verify", "--json").json["kinds"]["signing-keys"] == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 1000,
        b"{" * 100_000,
        b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
        b"[" + b"1," * 300_000 + b"1]",
        b"%PDF-1.7\n",
    ],
)
def test_hostile_files_in_every_place_are_one_line_and_an_exit_code(
    library: Library, certificate: Path, tmp_path: Path, content: bytes
) -> None:
    hostile = tmp_path / "hostile.dsse.json"
    hostile.write_bytes(content)
    key = certificate.parent / "retention.pub"
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "checkpoint").write_bytes(content)
    opened = tmp_path / "a.opened.json"
    opened.write_bytes(content[:-1] + b'"type":"https://retention.example/opened-record/v1"}')
    calls: list[list[str | Path]] = [
        ["certificate", "verify", hostile, "--key", key],
        ["certificate", "verify", opened, "--key", key],
        ["certificate", "verify", certificate, "--key", hostile],
        ["certificate", "verify", certificate, "--log", folder],
        ["certificate", "verify", certificate, "--checkpoint", hostile],
        ["certificate", "verify", certificate, "--leaves", hostile],
        ["certificate", "verify", certificate, "--tsa", hostile],
        ["log", "verify", folder, "--key", key],
        ["log", "consistency", hostile],
    ]
    for words in calls:
        said = library(*words)
        assert said.code in (2, 6), (words, said)
        assert "Traceback" not in said.err
        assert "unexpected" not in said.err


def test_nothing_to_verify_is_an_error(library: Library, certificate: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for words in (
        ["certificate", "verify", empty], ["certificate", "verify"], ["log", "verify", empty], ["log", "verify", tmp_path / "none"],
        ["log", "verify", empty, "--key", certificate.parent / "retention.pub"],
    ):  # fmt: skip
        assert library(*words).code in (2, 6)
