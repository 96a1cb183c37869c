"""Two libraries, alike but for one thing: in one a sealed hold keeps two records, in the other they are not due yet."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from retention.permissions import Role
from tests.console.library import Library, Said, build

KEPT = (1, 3)
"""Loans of patron 102 that are due, and stay."""
SECRET = ("zq-officer", "zq-matter", "zq-court")
HIDDEN = "H20350615-5ea1ed00"
"""An id that names no hold in either library, asked for in the place of the sealed one's."""
VAULT = """\
[store.evidence]
kind = "files"
title = "Evidence vault"

[record-type.past-checkouts]"""
"""Copies that the sealed hold alone makes lie in it."""
ROLES = {role.value: role for role in Role}


OLD_DEBT = (11, 101, "main", "2034-01-10 10:00:00", 500)
"""A loan that stays in both and is the oldest: how old the oldest is tells nothing."""


def twins(root: Path, furnished: Path, patch: pytest.MonkeyPatch) -> tuple[Shell, Shell]:
    """The library with the sealed hold, and the one without. ``furnished``: state and keys of one with two custodians."""
    shells = []
    patch.setenv("COLUMNS", "100")
    patch.setenv("NO_COLOR", "1")
    for name in ("with", "without"):
        place = root / name
        place.mkdir()
        library = build(place)
        library.amend("[record-type.past-checkouts]", VAULT)
        library.amend('table = "loan"', 'table = "loan"\nvault = "evidence"')
        patch.setenv("RETENTION_STORES__EVIDENCE__ROOT", "evidence-disk")
        with closing(sqlite3.connect(library.ils)) as connection, connection:
            connection.execute("INSERT INTO loan VALUES (?, ?, ?, ?, ?)", OLD_DEBT)
        shutil.copytree(furnished / "staffed", place, dirs_exist_ok=True)
        shells.append(Shell(library, patch))
        shells[-1].done("db", "upgrade")
    one, other = shells
    with closing(sqlite3.connect(other.library.ils)) as connection, connection:
        for number in KEPT:
            connection.execute("UPDATE loan SET returned = '2035-06-10 10:00:00' WHERE id = ?", (number,))
    for shell in shells:
        for role in ROLES.values():
            shell.done(
                "person", "add", f"a-{role.value}", "--full-name", f"Somebody {role.value}", "--title", "Staff", "--role", role.value
            )  # fmt: skip
        shell.done(
            "hold", "place", "--matter", "open", "--kind", "audit", "--authority", "State", "--camera", "door", "--until", "2035-05-20",
            "--as", "bela",
        )  # fmt: skip
    one.sealed = one.done(
        "hold", "place", "--matter", "zq-matter", "--kind", "warrant", "--authority", "zq-court", "--officer", "zq-officer",
        "--subject", "102", "--record-type", "past-checkouts", "--sealed", "--need-to-know", "bela", "--nondisclosure-until", "2036-01-01", "--as", "ada", "--json",
    ).json["hold"]["id"]  # fmt: skip
    other.sealed = HIDDEN
    return one, other


class Shell:
    def __init__(self, library: Library, patch: pytest.MonkeyPatch) -> None:
        self.library = library
        self._patch = patch
        self.sealed = HIDDEN
        self.names: dict[str, str] = {}

    def __call__(self, *words: str | Path) -> Said:
        for name, value in self.library.settings().items():
            self._patch.setenv(name, value)
        self._patch.chdir(self.library.root)
        return self.library(*words)

    def done(self, *words: str | Path) -> Said:
        said = self(*words)
        assert said.code == 0, (words, said)
        return said

    def heard(self, words: tuple[str, ...]) -> str:
        """What a command says, without what differs between any two libraries."""
        self.library.now += timedelta(seconds=1)
        said = self(*(self.names.get(word, word).replace("SEALED", self.sealed) for word in words))
        text = f"{said.code}\n{said.out}\n{said.err}".replace(self.sealed, "SEALED")
        return without_chance(text.replace(str(self.library.root), "ROOT"))


def without_chance(text: str) -> str:
    """Ids in order of appearance, times, digests, keys and signatures."""
    names: dict[str, str] = {}
    for pattern in (r"\b[CH]\d{8}-[0-9a-f]{8}(?:-\d)?\b", r"\b[0-9a-f]{64}\b", r"\b[0-9a-f]{16}\b"):
        for found in re.findall(pattern, text):
            names.setdefault(found, f"#{len(names)}")
    for found, name in names.items():
        text = text.replace(found, name)
    text = re.sub(r"\d+(\.\d+)? s\b|\"seconds\": [\d.]+", "TIME", text)
    text = re.sub(
        r"hold epoch \d+|\"holdEpoch\": ?\d+", "EPOCH", text
    )  # keyed: test_a_published_epoch_does_not_count
    text = re.sub(r"manifest [0-9a-f]{12}", "manifest", text)
    # How long the chain is tells how much happened in all, not what: docs/holds.md says so.
    text = re.sub(r"\d+ events|\"events\": \d+", "EVENTS", text)
    text = re.sub(r"[A-Za-z0-9+/]{40,}={0,2}", "BASE64", text)
    return re.sub(r"\b\d+ bytes|\b\d+(\.\d+)? [KM]iB|\"bytes\": \d+", "SIZE", text)
