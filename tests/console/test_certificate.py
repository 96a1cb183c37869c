"""The ``certificate`` commands; ``verify`` works on files alone."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from retention.signing import generate
from tests.console.golden import same_as_before, transcript
from tests.console.library import Library


@pytest.fixture
def certificate(library: Library) -> Path:
    library.done("run", "--execute", "--record-type", "past-checkouts")
    (found,) = library.done("certificate", "list", "--json").json["certificates"]
    return Path(found["path"])


def test_a_certificate_is_shown_from_its_envelope(library: Library, certificate: Path) -> None:
    id = certificate.name.removesuffix(".dsse.json")
    document = library.done("certificate", "show", id, "--json").json
    assert document["statement"]["predicate"]["summary"]["destroyed"] == 4
    assert "Past checkouts" in library.done("certificate", "show", id).out
    assert library("certificate", "show", "C20350615-00000000-1").code == 2


def test_the_transcript_of_a_verification(library: Library, certificate: Path) -> None:
    said = library.done("certificate", "verify", certificate)
    same_as_before("verify", transcript(library, said, "certificate", "verify", str(certificate)))


def test_a_key_that_came_with_the_certificate_is_said_to_be_one(library: Library, certificate: Path) -> None:
    assert "came with the certificate" in library.done("certificate", "verify", certificate).err
    key = certificate.parent / "retention.pub"
    assert "came with" not in library.done("certificate", "verify", certificate, "--key", key).err


def test_another_key_does_not_verify(library: Library, certificate: Path) -> None:
    other = library.root / "other.pub"
    other.write_text(generate("other").public.line + "\n", encoding="ascii")
    said = library("certificate", "verify", certificate, "--key", other, "--json")
    assert (said.code, said.json["ok"]) == (6, False)


def test_a_changed_certificate_or_leaves_file_does_not_verify(library: Library, certificate: Path) -> None:
    envelope = json.loads(certificate.read_bytes())
    payload = base64.b64decode(envelope["payload"]).replace(b'"destroyed":4', b'"destroyed":5')
    forged = library.root / "forged.dsse.json"
    forged.write_text(
        json.dumps({**envelope, "payload": base64.b64encode(payload).decode()}), encoding="utf-8"
    )
    key = certificate.parent / "retention.pub"
    assert library("certificate", "verify", forged, "--key", key).code == 6
    leaves = library.root / "other.leaves"
    leaves.write_bytes(bytes(32 * 4))
    said = library("certificate", "verify", certificate, "--leaves", leaves)
    assert said.code == 6
    assert "step 6" in said.out


def test_one_bad_certificate_among_many_ends_with_6(library: Library, certificate: Path) -> None:
    bad = certificate.with_name("bad.dsse.json")
    bad.write_text("{}", encoding="utf-8")
    said = library("certificate", "verify", certificate, bad, "--json")
    assert said.code == 6
    assert [one["ok"] for one in said.json["certificates"]] == [True, False]


def test_what_cannot_be_read_is_a_wrong_call(library: Library, certificate: Path) -> None:
    assert library("certificate", "verify", library.root / "nothing.dsse.json").code == 2
    (certificate.parent / "retention.pub").unlink()
    said = library("certificate", "verify", certificate)
    assert said.code == 2
    assert "--key" in said.err


def test_an_export_verifies_elsewhere_without_ledger_and_settings(
    library: Library, certificate: Path, tmp_path: Path
) -> None:
    id = certificate.name.removesuffix(".dsse.json")
    folder = tmp_path / "auditor"
    library.done("certificate", "export", id, "--to", folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"{id}.dsse.json", f"{id}.leaves", "retention.keys", "retention.pub"]
    )
    library.done("certificate", "export", id, "--to", folder)
    words = [sys.executable, "-m", "console.cli.main", "certificate", "verify", f"{id}.dsse.json", "--json"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RETENTION_")}
    clean["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(words, cwd=folder, env=clean, capture_output=True, check=True)
    assert json.loads(done.stdout)["certificates"][0]["ok"] is True
    (folder / f"{id}.leaves").write_bytes(b"")
    assert library("certificate", "export", id, "--to", folder).code == 5, "never over another file"


def test_an_altered_leaves_file_is_not_exported(library: Library, certificate: Path) -> None:
    id = certificate.name.removesuffix(".dsse.json")
    (certificate.parent / f"{id}.leaves").write_bytes(b"")
    assert library("certificate", "export", id, "--to", library.root / "out").code == 6
