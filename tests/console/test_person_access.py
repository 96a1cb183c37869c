"""``person oidc`` and ``retire-passkey``: who comes in how, and what no longer signs."""

from __future__ import annotations

import pytest

from console.web.oidc import subject
from flows.settings import load_settings
from flows.wiring import Site
from storage.statements import verify_statements
from tests.console.library import Library
from tests.retention.authenticator import authenticator
from tests.storage.desk import given_passkey

ISSUER = "https://login.library.example"


@pytest.fixture
def site(library: Library, monkeypatch: pytest.MonkeyPatch) -> Site:
    library.add_people("ada", "bela")
    monkeypatch.setenv("RETENTION_CONSOLE_OIDC_ISSUER", ISSUER)
    return Site(load_settings(), lambda: library.now)


def test_a_person_is_entered_as_the_provider_calls_them_and_removed(library: Library, site: Site) -> None:
    said = library.done("person", "oidc", "ada", "--subject", "a-1")
    assert "ada signs in as a-1 there" in said.out
    assert site.ledger.accounts.bound(subject(ISSUER, "a-1")) == "ada"
    again = library("person", "oidc", "bela", "--subject", "a-1")
    assert (again.code, again.out) == (2, "")
    assert "signs in as ada already" in again.err
    library.done("person", "oidc", "ada", "--remove")
    assert site.ledger.accounts.bound(subject(ISSUER, "a-1")) is None
    site.close()


@pytest.mark.parametrize(
    "words", [("ada",), ("ada", "--subject", "a", "--remove"), ("ada", "--subject", ""), ("ada", "--subject", "x" * 256),
              ("ada", "--subject", "a\nb"), ("nobody", "--subject", "a")]
)  # fmt: skip
def test_what_is_no_subject_or_nobody_is_refused(
    library: Library, site: Site, words: tuple[str, ...]
) -> None:
    said = library("person", "oidc", *words)
    assert (said.code, said.out) == (2, "")
    site.close()


def test_without_a_provider_nobody_is_entered(
    library: Library, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETENTION_CONSOLE_OIDC_ISSUER")
    said = library("person", "oidc", "ada", "--subject", "a")
    assert said.code == 2
    assert "RETENTION_CONSOLE_OIDC_ISSUER" in said.err
    site.close()


def test_where_there_is_an_administrator_only_they_enter_people(library: Library, site: Site) -> None:
    library.done(
        "person", "add", "root", "--full-name", "Root Example", "--title", "IT", "--role", "administrator"
    )
    assert library("person", "oidc", "ada", "--subject", "a").code == 5
    assert library("person", "oidc", "ada", "--subject", "a", "--as", "ada").code == 5
    library.done("person", "oidc", "ada", "--subject", "a", "--as", "root")
    site.close()


def test_a_lost_passkey_is_retired_by_its_owner_or_a_manager_and_shown_as_such(
    library: Library, site: Site
) -> None:
    keys = [authenticator().public for _ in range(2)]
    for number, key in enumerate(keys):
        ada = site.signatory("ada")
        given_passkey(
            site.ledger, ada, key, credential=f"AAA{number}", label=f"phone {number}", at=library.now
        )
    library.done(
        "person", "add", "root", "--full-name", "Root Example", "--title", "IT", "--role", "administrator"
    )
    assert library("person", "retire-passkey", "ada", keys[0].keyid, "--as", "bela").code == 5
    assert library("person", "retire-passkey", "ada", keys[0].keyid).code == 5
    library.done("person", "retire-passkey", "ada", keys[0].keyid, "--as", "ada")
    assert library("person", "retire-passkey", "ada", keys[0].keyid, "--as", "ada").code == 2
    assert library("person", "retire-passkey", "bela", keys[1].keyid, "--as", "root").code == 2
    library.done("person", "retire-passkey", "ada", keys[1].keyid, "--as", "root")
    shown = library.done("person", "show", "ada").out
    assert "passkey phone 0: p256:" in shown
    assert shown.count("retired") >= 2
    told = library.done("person", "show", "ada", "--json").json["passkeys"]
    assert [one["retired_at"] is None for one in told] == [False, False]
    site.close()


def test_a_person_makes_their_own_key_and_only_its_public_half_is_handed_over(
    library: Library, site: Site
) -> None:
    own = library.root / "mei.pem"
    made = library.done("person", "key", "mei", "--key-file", str(own), "--json").json
    assert library("person", "key", "mei", "--key-file", str(own)).code == 2, "no key is replaced"
    line = library.root / "mei.pub"
    line.write_text(made["public_key"])
    who = ("mei", "--full-name", "Mei Lind", "--title", "Branch Manager", "--role", "custodian")
    assert library("person", "add", *who, "--public-key", str(line), "--key-file", str(own)).code == 2
    library.done(
        "person", "add", "root", "--full-name", "Root Example", "--title", "IT", "--role", "administrator"
    )
    said = library.done("person", "add", *who, "--public-key", str(line), "--as", "root", "--json").json
    assert (said["private_key"], said["keyid"]) == (None, made["keyid"])
    library.done("person", "acknowledge-ethics", "--as", "mei", "--key-file", str(own))
    told = {one["name"]: one for one in library.done("person", "list", "--json").json["people"]}
    assert [told["mei"][what] for what in ("passkeys", "signed_in_at", "ethics")] == [0, None, True]
    at = library.now
    site.ledger.accounts.start("mei", "password", at)
    assert "signed in to the console last" in library.done("person", "show", "mei").out
    assert verify_statements(site.ledger) == 2, "whoever manages people signs for it"
    site.close()
