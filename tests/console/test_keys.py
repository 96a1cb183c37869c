"""The key store's commands: the tree in numbers, rotation, backup, drill, restore; and no sealed hold in any of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from console.cli.key_lines import rotation_lines
from flows.settings import load_settings
from flows.wiring import Site
from retention.holds import Hold, HoldState, Scope
from retention.naming import Naming
from retention.records import Personal, Span
from storage.keys.ground import Ground
from storage.keys.keystore import KeyStore
from storage.keys.rotation import RotationReport
from storage.keys.values import Facts
from storage.keys.versions import Settled
from tests.console.library import NOW, Library
from tests.console.test_hold import MATTER

GROUND = Ground(record_type="past-checkouts", location="loans", subject="patron", naming=Naming(store="ils"))


@pytest.fixture
def keys(library: Library) -> Iterator[KeyStore]:
    site = Site(load_settings(), lambda: NOW)
    yield site.keys
    site.close()


def seal(keys: KeyStore, patron: str, period: str = "2035-01") -> str:
    facts = Facts(
        record_type=GROUND.record_type, location=GROUND.location, store=GROUND.naming.store, trigger=date(2035, 1, 9),
        span=Span(start=None, end=None), subject=Personal(patron), size=10,
    )  # fmt: skip
    made = keys.begin_sealing(facts, period=period, at=NOW)
    keys.finish_sealing(made.id, sealed_size=20, digest="ab" * 32, at=NOW)
    return made.id


def destroy(keys: KeyStore, id: str, witness: str = "w") -> None:
    with keys.gate(at=NOW) as writing:
        writing.destroy([id], witness=witness)
        writing.commit()


def test_status_draws_the_tree_and_says_what_is_provisional(library: Library, keys: KeyStore) -> None:
    assert "nothing is sealed yet" in library.done("keys", "status").out
    first, _ = seal(keys, "p1"), seal(keys, "p2", "2035-02")
    told = library.done("keys", "status").out
    assert "past-checkouts/loans: 2 objects in 2 cohorts" in told
    assert "provisional" not in told
    destroy(keys, first)
    assert "provisional until it is" in library.done("keys", "status").out
    assert library.done("keys", "status", "--json").json["rotation_outstanding"] is True
    library.done("keys", "rotate")
    after = library.done("keys", "status", "--json").json
    assert (after["rotation_outstanding"], after["destroyed"]) == (False, 1)
    assert [root["state"] for root in after["roots"]] == ["current", "gone"]


def test_what_a_hold_keeps_is_shown_only_when_the_ledger_shows_the_hold(
    library: Library, keys: KeyStore
) -> None:
    """A hold that the ledger calls sealed, or does not know, is counted with what is not due."""
    seal(keys, "p1"), seal(keys, "p2")
    secret = Hold(
        id="H-secret", state=HoldState.ACTIVE, scope=Scope(subjects=frozenset({Personal("p1")})), sealed=True
    )
    assert keys.reconcile(GROUND, [secret], at=NOW) == 1
    for arguments in (("keys", "status"), ("keys", "status", "--json")):
        assert "H-secret" not in library.done(*arguments).out
    line = library.done("keys", "status", "--json").json["record_types"][0]
    assert (line["objects"], line["held"]) == (2, {})


def test_an_open_hold_is_shown_with_what_it_keeps(staffed: Library) -> None:
    placed = staffed.done(
        "hold", "place", *MATTER, "--record-type", "past-checkouts", "--subject", "p1", "--as", "ada", "--json"
    ).json["hold"]["id"]  # fmt: skip
    site = Site(load_settings(), lambda: NOW)
    seal(site.keys, "p1")
    site.keys.reconcile(GROUND, site.ledger.holds.in_force().holds, at=NOW)
    site.close()
    assert f"1 object under hold {placed}" in staffed.done("keys", "status").out


def test_rotate_backup_and_drill_tell_their_figures(library: Library, keys: KeyStore) -> None:
    gone, _ = seal(keys, "p1"), seal(keys, "p2", "2035-02")
    backup = library.done("keys", "backup", "--json").json["backup"]
    destroy(keys, gone)
    failed = library("keys", "drill", "--backup", backup)
    assert failed.code == 6
    assert "FAILED: 1 destroyed object opened again" in failed.out
    rotated = library.done("keys", "rotate", "--json").json
    assert (rotated["rotated"], rotated["proven"], len(rotated["gone"])) == (True, 1, 1)
    drilled = library.done("keys", "drill", "--backup", backup, "--json").json
    assert (drilled["passed"], drilled["destroyed_opened"], drilled["survivors"]) == (True, 0, 1)


def test_a_backup_is_put_back_only_into_an_empty_key_store(library: Library, keys: KeyStore) -> None:
    kept = seal(keys, "p1")
    backup = library.done("keys", "backup", "--json").json["backup"]
    assert library("keys", "restore", backup).code == 5
    keys.close()
    for path in library.state.glob("keys.db*"):
        path.unlink()
    library.done("keys", "restore", backup)
    keys.key_of(kept).wipe()


def test_without_the_key_store_or_its_root_the_commands_end_with_7(library: Library, keys: KeyStore) -> None:
    seal(keys, "p1")
    keys.close()
    root = next((library.state / "roots").iterdir())
    root.rename(library.root / "aside")
    said = library("keys", "rotate", "--force")
    assert said.code == 7
    assert "put it back" in said.err
    said = library("doctor")
    assert said.code == 7
    assert "root of the key store is missing" in said.out
    (library.root / "aside").rename(root)
    (library.state / "keys.db").rename(library.root / "aside.db")
    for command in ("status", "rotate", "backup", "drill", "forget-share"):  # none of them starts a worker
        said = library("keys", command)
        assert (said.code, "there is no key store yet" in said.err) == (7, True)


def test_doctor_covers_the_key_store(library: Library, keys: KeyStore) -> None:
    told = library("doctor").out
    assert "key store: its root is usable" in told
    destroyed = seal(keys, "p1")
    destroy(keys, destroyed)
    told = library("doctor").out
    assert "its root is to be rotated" in told
    assert "there is no backup of it" in told
    (library.state / "roots" / "R000000000000.root").write_bytes(b"x" * 32)
    assert "roots lie here that it does not know: R000000000000" in library("doctor").out


def test_forgetting_shares_at_a_site_without_any_changes_nothing(library: Library) -> None:
    assert library.done("keys", "forget-share", "--json").json["forgotten"] == []


def test_a_revived_root_is_told_in_so_many_words() -> None:
    lines = [str(line) for line in rotation_lines(RotationReport(settled=Settled(revived=["R1"])))]
    assert any("R1 had been cancelled" in line and "superseded" in line for line in lines)
