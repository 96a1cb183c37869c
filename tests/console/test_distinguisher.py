"""Two libraries, alike but for one thing: in one a sealed hold keeps two records, in the other they are not due yet.

Whoever is not on the need-to-know list gets the same words from both, whatever they ask, in whatever role, as text and as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from difflib import unified_diff
from pathlib import Path

import pytest

from flows.reminders import reminders
from flows.reminding import written
from flows.settings import load_settings
from flows.wiring import Site
from storage.seeing import events_for
from tests.console.twins import HIDDEN, ROLES, SECRET, Shell, twins, without_chance


@pytest.fixture
def two(tmp_path: Path, furnished: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Shell, Shell]:
    return twins(tmp_path, furnished, monkeypatch)


READING: tuple[tuple[str, ...], ...] = (
    ("run",),
    *(("run", "--execute", "--record-type", name) for name in ("past-checkouts", "vendor-exports", "camera-footage")),
    ("check",),
    ("check", "--stores"),
    ("explain", "past-checkouts", "2"),
    ("explain", "past-checkouts", "10"),
    ("hold", "list"),
    ("hold", "list", "--all"),
    ("hold", "show", "SEALED"),
    ("hold", "place", "--preview", "--record-type", "past-checkouts"),
    ("case", "list"),
    ("case", "show", "CASE"),
    ("certificate", "list"),
    ("certificate", "show", "CERTIFICATE"),
    ("certificate", "verify", "CERTIFICATE"),
    ("certificate", "keys"),
    ("certificate", "ordinary-course", "--subject", "102", "--from", "2035-01-01", "--to", "2035-06-15", "--served", "2035-06-15", "--out", "oc"),
    ("log", "show"),
    ("log", "verify"),
    ("keys", "status"),
    ("db", "check"),
    ("doctor",),
    ("coverage",),
    ("person", "list"),
    ("export", "list"),
)  # fmt: skip


@pytest.mark.parametrize("json", [False, True], ids=["text", "json"])
def test_nobody_in_particular_can_tell_them_apart(two: tuple[Shell, Shell], json: bool) -> None:
    found = differences(two, READING, json)
    assert not found, "\n".join([f"{words}: {line}" for words, lines in found.items() for line in lines])


def differences(
    two: tuple[Shell, Shell], commands: tuple[tuple[str, ...], ...], json: bool
) -> dict[str, list[str]]:
    """Lines of output that are not the same, by command. No secret is in any."""
    one, other = two
    found: dict[str, list[str]] = {}
    for words in commands:
        given = (*words, "--json") if json else words
        said = one.heard(given), other.heard(given)
        assert not any(secret in said[0] for secret in SECRET), words
        if words[:2] == ("run", "--execute") and words[-1] == "past-checkouts":
            for shell in two:
                case = shell.done("certificate", "list", "--json").json["certificates"][0]
                shell.names = {"CASE": case["case"], "CERTIFICATE": case["id"]}
        if said[0] != said[1]:
            lines = [text.replace(", ", ",\n").splitlines() for text in said]
            found[" ".join(words)] = list(unified_diff(lines[0], lines[1], n=0, lineterm=""))[2:]
    return found


def test_a_forecast_says_the_same_of_today(two: tuple[Shell, Shell]) -> None:
    """Of months to come it does not: there what is not due yet comes due, and what is kept does not, as in a plan for such a day."""
    said = [
        [
            (one["record_type"], one["backlog"], one["past_maximum"], one["days_past"])
            for one in shell.done("forecast", "--json").json["record_types"]
        ]
        for shell in two
    ]
    assert said[0] == said[1]


ACTS: tuple[tuple[str, ...], ...] = (
    ("queue",),
    ("case", "show", "OPEN"),
    ("case", "approve", "OPEN", "--records", "3", "--lift", "records"),
    ("case", "approve", "OPEN", "--records", "2"),
    ("case", "withdraw", "OPEN"),
    ("case", "extend", "OPEN", "--until", "2035-07-01", "--reason", "later"),
    ("case", "return", "OPEN", "--reason", "not now"),
    ("hold", "list", "--all"),
    ("hold", "show", "SEALED"),
    ("hold", "place", "--resume", "SEALED"),
    ("hold", "accept", "SEALED"),
    ("hold", "decline", "SEALED", "--reason", "no"),
    ("hold", "confirm", "SEALED"),
    ("hold", "release", "SEALED", "--document", "policies.toml"),
    ("hold", "release", "SEALED", "--cancel"),
    ("hold", "widen", "SEALED", "--any", "subject"),
    ("hold", "narrow", "SEALED", "--document", "policies.toml", "--record-type", "past-checkouts", "--branch", "main"),
    ("hold", "link", "SEALED", "SEALED"),
    ("hold", "verify", "SEALED", "--rejected"),
    ("hold", "review", "SEALED", "--next", "2036-01-01"),
    ("hold", "tell", "SEALED", "ada"),
    ("hold", "acknowledge", "SEALED"),
    ("hold", "know", "SEALED", "--add", "ada"),
    ("hold", "unseal", "SEALED"),
    ("hold", "document", "SEALED", "--out", "taken"),
)  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_no_role_lets_anybody_tell_them_apart(two: tuple[Shell, Shell], role: str) -> None:
    for shell in two:
        shell("run", "--execute")
        (case,) = shell.done("case", "list", "--state", "started", "--json").json["cases"]
        shell.names = {"OPEN": case["id"]}
    as_ = tuple((*words, "--as", f"a-{role}") for words in ACTS)
    found = differences(two, as_, json=True)
    assert not found, "\n".join([f"{words}: {line}" for words, lines in found.items() for line in lines])


def test_those_on_the_list_see_it_and_what_it_says(two: tuple[Shell, Shell]) -> None:
    one, _ = two
    for name in ("ada", "bela"):
        listed = one.done("hold", "list", "--as", name, "--json").json["holds"]
        assert one.sealed in [hold["id"] for hold in listed]
        assert "zq-matter" in one.done("hold", "show", one.sealed, "--as", name).out
    assert one.done("hold", "confirm", one.sealed, "--as", "bela", "--json").json["hold"]["state"] == "active"


def test_what_reminds_people_and_the_events_they_see_are_the_same(two: tuple[Shell, Shell]) -> None:
    said = []
    for shell in two:
        shell.done("run", "--execute")
        with opened_as(shell) as site:
            events = events_for(site.ledger, "a-auditor", limit=1000)
            said.append(
                (
                    without_chance(written(reminders(site))),
                    [(event.kind, event.actor) for event in events],
                    len(events_for(site.ledger, "a-auditor", subject=shell.sealed)),
                )
            )
            assert shell.sealed == HIDDEN or shell.sealed in {event.subject for event in site.ledger.events()}
            assert site.ledger.connection.verify_chain() > 0
    assert said[0] == said[1]


@contextmanager
def opened_as(shell: Shell) -> Iterator[Site]:
    shell("doctor")  # its settings are in the environment now
    site = Site(load_settings(), now=lambda: shell.library.now + timedelta(days=40))
    try:
        yield site
    finally:
        site.close()


def test_a_published_epoch_does_not_count(two: tuple[Shell, Shell]) -> None:
    """Equal states look different in two documents, and a smaller number is no earlier one."""
    with opened_as(two[0]) as site:
        said = [site.ledger.holds.published(epoch, case) for case in ("C1", "C2") for epoch in range(20)]
        again = site.ledger.holds.published(7, "C1")
    assert again == said[7], "the library can tell which state it was"
    assert len(set(said)) == 40
    assert said[:20] != sorted(said[:20])
    assert all(0 <= number < 2**53 for number in said)
