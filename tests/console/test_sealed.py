"""Sealed records from the command line: a run that destroys keys, replaces the root and finishes its certificates; withdrawing; a restored key store."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from console.cli.session import Session
from console.cli.site import opened
from retention.errors import KeyDestroyed
from retention.records import Span
from storage.files.sealed_name import sealed_name
from storage.keys.values import Facts
from tests.console.library import NOW, Library

CLIPS = """
[record-type.incident-clips]
title = "Incident clips"
description = "Invented"
authority = { citation = "Policy 7-2" }
owner = "Facilities"
personal-data = ["likeness"]
trigger = "recorded"
cutoff = "day"
minimum = "P90D"
maximum = "P1Y"
disposition = "crypto-shred"
approval = "standing"
limits = { records = 100 }
effective-from = 2020-01-01
[[record-type.incident-clips.location]]
name = "clips"
store = "cameras"
path = "incidents"
template = "{camera}/{Y}{m}{d}-{H}{M}{S}.mp4"
trigger-kind = "name"
time-zone = "UTC"
subject = "unknown"
max-length = "PT10M"
"""


@pytest.fixture
def vault(staffed: Library) -> Library:
    """A library whose clips are sealed. Nothing is sealed yet."""
    text = staffed.policies.read_text(encoding="utf-8")
    staffed.policies.write_text(text + CLIPS, encoding="utf-8")
    (staffed.root / "cameras" / "incidents" / "door").mkdir(parents=True)
    return staffed


def seal(library: Library, *, days: int) -> str:
    """As `retention seal` leaves a clip behind. Returns the object's id."""
    trigger = library.now - timedelta(days=days)
    facts = Facts(
        record_type="incident-clips", location="clips", store="cameras", trigger=trigger,
        span=Span(start=trigger, end=trigger + timedelta(minutes=1)), camera="door", size=5,
    )  # fmt: skip
    with opened(Session.start(now=lambda: library.now)) as site:
        new = site.keys.begin_sealing(facts, period=trigger.date().isoformat(), at=library.now)
        new.key.wipe()
        plain = library.root / "cameras" / "incidents" / "door" / f"{trigger:%Y%m%d-%H%M%S}.mp4"
        Path(sealed_name(str(plain), new.id)).write_bytes(b"ciphertext")
        site.keys.finish_sealing(new.id, sealed_size=10, digest="0" * 64, at=library.now)
    return new.id


def opens(library: Library, id: str) -> bool:
    with opened(Session.start(now=lambda: library.now)) as site:
        try:
            site.keys.key_of(id).wipe()
        except KeyDestroyed:
            return False
        return True


def clips(library: Library) -> list[str]:
    folder = library.root / "cameras" / "incidents" / "door"
    return sorted(path.name.split(".")[2] for path in folder.iterdir())


def test_one_run_destroys_keys_replaces_the_root_removes_ciphertext_and_ends_with_a_final_certificate(
    vault: Library,
) -> None:
    dead, living = [seal(vault, days=100), seal(vault, days=100)], seal(vault, days=3)
    dry = vault.done("run", "--record-type", "incident-clips")
    assert "incident-clips: 2 of 3 records would be made unreadable, its key destroyed" in dry.out
    said = vault.done("run", "--record-type", "incident-clips", "--execute", "--json").json
    (result,) = said["results"]
    assert (result["plan"]["due"], result["plan"]["records"]) == (1, 2)
    assert (said["root_replaced"], said["ciphertext_removed"], said["unfinished"]) == (True, 2, [])
    (final,) = said["finalised"]
    assert [opens(vault, id) for id in (*dead, living)] == [False, False, True]
    assert clips(vault) == [living]
    verified = vault.done(
        "certificate", "verify", vault.state / "evidence" / f"{final}.dsse.json", "--key", vault.state / "evidence" / "retention.pub"
    )  # fmt: skip
    assert "verified" in verified.out
    again = vault.done("run", "--record-type", "incident-clips", "--execute", "--json").json
    assert (again["root_replaced"], again["ciphertext_removed"], again["finalised"]) == (False, 0, [])


def test_a_run_says_in_words_what_it_did_with_keys(vault: Library) -> None:
    seal(vault, days=100)
    seal(vault, days=100)
    said = vault.done("run", "--record-type", "incident-clips", "--execute").out
    assert "opened, 1 item (the keys of 2 records)" in said
    assert "The root key was replaced" in said
    assert "2 sealed files whose key is destroyed removed." in said
    assert "is final now" in said


def test_a_root_that_is_missing_leaves_the_certificate_provisional_and_the_next_run_finishes(
    vault: Library,
) -> None:
    seal(vault, days=100)
    (root,) = (vault.state / "roots").iterdir()
    aside = root.rename(vault.root / "aside")
    said = vault("run", "--record-type", "incident-clips", "--execute", "--json")
    assert said.code == 7
    assert "root" in said.json["unfinished"][0]["message"]
    assert said.json["finalised"] == []
    assert said.json["results"][0]["disposal"]["certificate"]["state"] == "provisional"
    aside.rename(root)
    again = vault.done("run", "--record-type", "incident-clips", "--execute", "--json").json
    assert (again["root_replaced"], len(again["finalised"])) == (True, 1)


def test_withdrawn_objects_go_in_the_next_run_whatever_their_age(vault: Library) -> None:
    first, other = seal(vault, days=3), seal(vault, days=3)
    said = vault.done("withdraw", first, "--reason", "consent withdrawn", "--as", "ada")
    assert "1 object withdrawn by ada" in said.out
    again = vault.done("withdraw", first, "--reason", "consent withdrawn", "--as", "ada", "--json").json
    assert [one["again"] for one in again["objects"]] == [True]
    vault.done("run", "--record-type", "incident-clips", "--execute")
    assert [opens(vault, id) for id in (first, other)] == [False, True]
    gone = vault("withdraw", first, "--reason", "x", "--as", "ada")
    assert (gone.code, "destroyed already" in gone.err) == (5, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("0123456789abcdef", "--reason", "x", "--as", "ada"), 2),
        (("0123456789abcdef", "--reason", " ", "--as", "ada"), 2),
        (("0123456789abcdef", "--reason", "x", "--as", "nobody"), 2),
        (("--reason", "x", "--as", "ada"), 2),
    ],
)
def test_a_withdrawal_of_nothing_or_by_nobody_is_a_wrong_call(
    vault: Library, words: tuple[str, ...], code: int
) -> None:
    assert vault("withdraw", *words).code == code


def test_a_hold_is_pushed_down_by_the_worker_and_keeps_what_was_withdrawn(vault: Library) -> None:
    id = seal(vault, days=3)
    vault.done("withdraw", id, "--reason", "consent withdrawn", "--as", "ada")
    vault.done(
        "hold", "place", "--matter", "M-1", "--kind", "subpoena", "--authority", "District Court", "--camera", "door",
        "--as", "ada",
    )  # fmt: skip
    said = vault.done("run", "--record-type", "incident-clips", "--execute", "--json").json
    assert said["results"][0]["plan"]["kept"] == {"held": 1}
    assert opens(vault, id)
    explained = vault.done("explain", "incident-clips", id).out
    assert "under a legal hold" in explained


def test_a_restored_key_store_is_refused_with_7_until_a_custodian_accepts_it(vault: Library) -> None:
    clip = seal(vault, days=100)
    saved = vault.root / "saved"
    for name in ("keys.db", "roots"):
        source = vault.state / name
        target = saved / name
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    nothing = vault("keys", "accept", "--reason", "x", "--as", "ada")
    assert (nothing.code, "not older" in nothing.err) == (5, True)
    before = vault.done("run", "--record-type", "incident-clips", "--execute", "--json").json["finalised"]
    assert len(before) == 1
    for left in ("keys.db", "keys.db-wal", "keys.db-shm"):
        (vault.state / left).unlink(missing_ok=True)
    shutil.rmtree(vault.state / "roots")
    shutil.copy(saved / "keys.db", vault.state / "keys.db")
    shutil.copytree(saved / "roots", vault.state / "roots")
    refused = vault("run", "--record-type", "incident-clips", "--execute", "--json")
    assert refused.code == 7
    assert refused.json["root_replaced"] is False, "or its epoch would pass the one that gives it away"
    assert vault("keys", "rotate", "--force").code == 7
    assert vault("withdraw", clip, "--reason", "x", "--as", "ada").code == 7
    assert "older" in refused.json["results"][0]["error"]["message"]
    (superseded,) = refused.json["superseded"]
    envelope = json.loads((vault.state / "evidence" / f"{superseded}.dsse.json").read_text())
    assert envelope["payload"]
    vault.done("keys", "accept", "--reason", "disk lost", "--as", "ada")
    said = vault.done("run", "--record-type", "incident-clips", "--execute", "--json").json
    assert said["results"][0]["disposal"]["counts"]["destroyed"] == 1
    assert not opens(vault, clip)
    assert vault.now == NOW
