"""Held footage from the subpoena to the certificate: copied out, kept while the recorder loses it, destroyed after the release."""

from __future__ import annotations

import base64
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from tests.console.library import Library
from tests.console.test_hold import MATTER

STORE = """\
[store.evidence]
kind = "footage"
title = "Evidence vault"

[record-type.past-checkouts]"""


@pytest.fixture
def vault(staffed: Library, monkeypatch: pytest.MonkeyPatch) -> Path:
    return furnish(staffed, monkeypatch)


def furnish(staffed: Library, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the cameras a vault; the folder of their copies in it."""
    root = staffed.root / "evidence-disk"
    monkeypatch.setenv("RETENTION_STORES__EVIDENCE__ROOT", str(root))
    staffed.amend("[record-type.past-checkouts]", STORE)
    staffed.amend('max-length = "PT60S"', 'max-length = "PT60S"\nvault = "evidence"')
    said = staffed.done("db", "upgrade")
    assert "made the vault of camera-footage/recordings-vault in store evidence" in said.out
    return root / "cameras" / "camera-footage" / "recordings"


def copies(vault: Path) -> list[str]:
    return sorted(str(path.relative_to(vault)) for path in vault.rglob("*.mp4"))


def test_held_footage_is_copied_out_outlives_the_recorder_and_goes_after_the_release(
    staffed: Library, vault: Path
) -> None:
    (held,) = [path for path in staffed.footage() if path.startswith("2035-05-26")]
    id = staffed.done(
        "hold", "place", *MATTER, "--store", "cameras", "--camera", "door", "--from", "2035-05-26T00:00", "--until",
        "2035-05-26T23:00", "--as", "ada", "--json",
    ).json["hold"]["id"]  # fmt: skip
    assert copies(vault) == [held]

    original = staffed.root / "cameras" / "recordings" / held
    os.truncate(original, 0)
    original.unlink()
    staffed.done("hold", "confirm", id, "--as", "bela")
    staffed.done("run", "--execute", "--record-type", "camera-footage")
    assert copies(vault) == [held], "the hold keeps the copy, although it was placed on the cameras"

    paper = staffed.root / "release.pdf"
    paper.write_bytes(b"the court releases it")
    staffed.done("hold", "release", id, "--document", paper, "--as", "ada")
    staffed.done("hold", "release", id, "--as", "bela")
    staffed.now += timedelta(days=8)
    staffed.done("run", "--execute", "--record-type", "camera-footage")
    assert copies(vault) == []
    latest = staffed.done("certificate", "list", "--json").json["certificates"][0]
    staffed.done("certificate", "verify", latest["path"])
    envelope = json.loads(Path(latest["path"]).read_bytes())
    said = json.loads(base64.b64decode(envelope["payload"]))["predicate"]["what"]["locations"]
    assert {place["location"]: (place["copyClass"], place["destroyed"]) for place in said} == {
        "recordings": ("primary", 0), "recordings-vault": ("evidence copy", 1),
    }  # fmt: skip


def test_without_its_vault_a_hold_is_written_down_keeps_and_says_what_is_missing(
    staffed: Library, vault: Path
) -> None:
    away = vault.parents[2].rename(staffed.root / "unplugged")
    vault.parents[2].mkdir()  # where the disk would be mounted
    scope = ("--camera", "door", "--from", "2035-05-26", "--until", "2035-05-27")
    said = staffed("hold", "place", *MATTER, *scope, "--as", "ada")
    assert said.code == 7
    assert (
        "is written down and keeps, but store cameras did not confirm it: the vault is not there" in said.err
    )
    id = staffed.done("hold", "list", "--json").json["holds"][0]["id"]
    vault.parents[2].rmdir()
    away.rename(vault.parents[2])
    staffed.done("hold", "place", "--resume", id, "--as", "ada")
    assert len(copies(vault)) == 1


def test_a_hold_on_the_cameras_that_is_older_than_their_vault_keeps_the_copies_too(
    staffed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    (held,) = [path for path in staffed.footage() if path.startswith("2035-05-26")]
    scope = (
        "--store",
        "cameras",
        "--camera",
        "door",
        "--from",
        "2035-05-26T00:00",
        "--until",
        "2035-05-26T23:00",
    )
    staffed.done("hold", "place", *MATTER, *scope, "--as", "ada")
    copied = furnish(staffed, monkeypatch)
    staffed.done("run", "--execute", "--record-type", "camera-footage")
    assert copies(copied) == [held]
    (staffed.root / "cameras" / "recordings" / held).unlink()
    staffed.done("run", "--execute", "--record-type", "camera-footage")
    assert copies(copied) == [held]
