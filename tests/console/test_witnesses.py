"""Witnesses on the whole way: asked by a run, shown by ``log show``, checked by ``log verify`` and in what is handed over."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.console.library import Library
from tests.simulator.witness import Witness, serving


@pytest.fixture
def witness(library: Library, monkeypatch: pytest.MonkeyPatch) -> Iterator[Witness]:
    """It knows this library's log, and the library knows it."""
    public = (library.root / "state" / "evidence" / "retention.pub").read_text()
    (line,) = [one for one in public.splitlines() if one.startswith("retention-log ")]
    name, _, material = line.removeprefix("retention-log ").split("+", 2)
    with serving(Witness((name, base64.b64decode(material)[1:]))) as made:
        monkeypatch.setenv("RETENTION_WITNESSES__STATE__URL", made.url)
        monkeypatch.setenv("RETENTION_WITNESSES__STATE__KEY", made.key)
        yield made


def test_a_run_asks_and_everybody_sees_who_signed(library: Library, witness: Witness, tmp_path: Path) -> None:
    assert f"not cosigned by {witness.name}: the next run asks" in library.done("log", "show").out
    library.done("run", "--execute", "--record-type", "past-checkouts")
    shown = library.done("log", "show", "--json").json
    (signed,) = shown["witnesses"]
    assert (signed["name"], signed["trouble"]) == (witness.name, "")
    assert witness.seen[0] == shown["published"] == 4
    assert f"cosigned by {witness.name} at " in library.done("log", "show").out
    assert [one["name"] for one in library.done("log", "verify", "--json").json["witnesses"]] == [
        witness.name
    ]
    (found,) = library.done("certificate", "list", "--json").json["certificates"]
    handed = tmp_path / "handed"
    library.done("certificate", "bundle", found["id"], "--to", handed)
    with (handed / "retention.pub").open("a") as file:
        file.write(f"retention-witness {witness.key}\n")
    assert f"cosigned by {witness.name}" in library.done("certificate", "verify", handed).out


def test_a_witness_that_fails_stops_nothing_and_is_asked_again(library: Library, witness: Witness) -> None:
    witness.wrong = lambda _asked, _answer: (503, b"zqcanary")
    said = library.done("run", "--execute", "--record-type", "past-checkouts")
    assert library.done("certificate", "list", "--json").json["certificates"] != []
    assert "zqcanary" not in said.out + said.err
    shown = library.done("log", "show")
    assert f"not cosigned by {witness.name}: it answered with status 503" in shown.out
    witness.wrong = lambda _asked, answer: answer
    library.now += timedelta(days=1)
    library.done("run", "--execute", "--record-type", "past-checkouts")
    assert library.done("log", "show", "--json").json["witnesses"][0]["at"] is not None


def test_a_witness_that_saw_a_longer_log_is_told(library: Library, witness: Witness) -> None:
    witness.seen = (99, b"\x00" * 32)
    library.done("run", "--execute", "--record-type", "past-checkouts")
    shown = library.done("log", "show").out
    assert "it has seen 99 entries of this log, which has 4: the log was set back" in shown


@pytest.mark.parametrize("key", ["zqcanary", "log"])
def test_a_key_that_does_not_cosign_is_a_wrong_setting(
    library: Library, witness: Witness, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    public = (library.root / "state" / "evidence" / "retention.pub").read_text()
    of_log = next(one for one in public.splitlines() if one.startswith("retention-log ")).split(" ")[1]
    monkeypatch.setenv("RETENTION_WITNESSES__STATE__KEY", of_log if key == "log" else key)
    said = library("log", "show")
    assert said.code == 2
    assert "RETENTION_WITNESSES__STATE__KEY" in said.err
    assert "zqcanary" not in said.out + said.err
