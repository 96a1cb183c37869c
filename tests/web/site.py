"""A whole site behind the pages: real stores, a run that opened cases, people with keys, and the keeper's work done when asked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.web.desk import open_desk
from flows.answering import ANSWERS, answer
from flows.settings import load_settings
from flows.wiring import Site
from retention.log_files import LogFolder
from tests.console.library import NOW, Library, build
from tests.web.house import HASHED, NAMES, House, listening, served


@dataclass
class Ahead:
    """The library's clock: its own day, going on as the machine's does."""

    begun: datetime
    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return NOW + (datetime.now(UTC) - self.begun) + self.ahead


@dataclass
class Standing:
    library: Library
    house: House

    def key(self, name: str) -> Path:
        return self.library.root / "keys" / f"{name}.pem"

    def signature(self, statement: bytes, name: str) -> str:
        """What somebody would paste: the command's answer over a statement that a page handed out."""
        file = self.library.root / "statement.json"
        file.write_bytes(statement)
        return self.run("sign", str(file), "--as", name).strip()

    def run(self, *words: str) -> str:
        """A command of this library, at this moment, that ends well."""
        self.library.now = self.house.desk.now()
        # In a thread of its own: the browser's driver has an event loop running in this one, and Prefect wants none.
        with ThreadPoolExecutor(1) as beside:
            return beside.submit(self.library.done, *words).result(timeout=120).out

    def keeper(self) -> None:
        """One round of the keeper: what is placing becomes effective, what is asked is answered."""
        site = Site(load_settings(), self.house.desk.now)
        try:
            for id in site.ledger.holds.placing():
                site.enforcing.resume(id, actor="keeper")
            for question in site.ledger.questions.waiting():
                site.ledger.questions.answer(question.id, answer(site, question, ANSWERS), at=site.now())
        finally:
            site.close()


@contextmanager
def standing(root: Path, patch: pytest.MonkeyPatch) -> Iterator[Standing]:
    """Loans destroyed and certified, exports waiting for two people because a brake stopped them."""
    library = build(root)
    for name, value in library.settings().items():
        patch.setenv(name, value)
    patch.chdir(root)
    library.done("db", "upgrade")
    titles = {"director": ("Ada Berg", "Library Director"), "deputy": ("Béla Novák", "Deputy Director")}
    for role, name in NAMES.items():
        full, title = titles.get(name, (f"{name.title()} Example", role.value))
        library.done("person", "add", name, "--full-name", full, "--title", title, "--role", role.value)
    library("run", "--execute")
    with listening() as sock:
        clock = Ahead(datetime.now(UTC))
        desk = open_desk(
            ledger_url=f"sqlite:///{library.state / 'ledger.db'}", state=library.state, policies=library.policies,
            log=LogFolder(library.state / "evidence" / "log"), evidence=library.state / "evidence",
            origin=f"http://localhost:{sock.getsockname()[1]}", now=clock, grace_days=7,
        )  # fmt: skip
        for name in NAMES.values():
            desk.ledger.accounts.set_password(name, HASHED, actor="test", at=clock())
        with served(desk, sock):
            yield Standing(library=library, house=House(desk=desk, clock=clock))
        desk.ledger.close()
