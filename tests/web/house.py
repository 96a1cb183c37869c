"""A library's desk with people, behind a real server on a loopback port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import httpx
import uvicorn

from console.web import passwords
from console.web.app import make_app
from console.web.desk import Desk
from console.web.oidc import Provider, Registration
from retention.loader import load
from retention.log_files import LogFolder
from retention.permissions import Role
from storage.documents import Documents
from storage.ledger.ledger import Ledger
from storage.ledger.sealing import Sealer
from storage.signatures import Signatory
from tests.console.library import POLICIES
from tests.storage.desk import SEALING_KEY, person

PASSWORD = "correct horse battery staple"
NAMES = {
    Role.CUSTODIAN: "director",
    Role.SECOND_CUSTODIAN: "deputy",
    Role.COUNSEL: "counsel",
    Role.OPERATOR: "operator",
    Role.AUDITOR: "auditor",
    Role.ADMINISTRATOR: "administrator",
}
HASHED = passwords.hashed(PASSWORD)
"""Once for all tests: it is slow on purpose."""


class Clock(Protocol):
    ahead: timedelta

    def __call__(self) -> datetime: ...


@dataclass
class Hands:
    """A clock that goes with the machine's, and can be put forward."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class House:
    desk: Desk
    clock: Clock
    people: dict[str, Signatory] = field(default_factory=dict)
    owner: Ledger | None = None
    """The same ledger with every right, where the pages have a role of their own."""

    @property
    def ledger(self) -> Ledger:
        return self.desk.ledger

    @property
    def origin(self) -> str:
        return self.desk.origin

    def add(self, name: str, role: Role) -> Signatory:
        """A person with a password."""
        self.people[name] = person(self.ledger, name, role, at=self.clock())
        self.ledger.accounts.set_password(name, HASHED, actor="test", at=self.clock())
        return self.people[name]

    def client(self, name: str | None = None) -> httpx.Client:
        """A client as a browser's own page would speak, signed in as somebody."""
        client = httpx.Client(base_url=self.origin, headers={"Origin": self.origin}, timeout=30)

        def trusting(_response: httpx.Response) -> None:
            """Browsers send secure cookies to localhost; httpx does not."""
            for cookie in client.cookies.jar:
                cookie.secure = False

        client.event_hooks["response"].append(trusting)
        if name is not None:
            token = self.ledger.accounts.start(name, "password", self.clock())
            client.cookies.set("__Host-retention", token, domain="localhost.local")
        return client


@contextmanager
def house(
    folder: Path, url: str | None = None, *, registration: Registration | None = None, people: Sequence[tuple[Role, str]] | None = None
) -> Iterator[House]:  # fmt: skip
    """A desk with one person of each role, served until the block ends."""
    with listening() as sock:
        clock, origin = Hands(), f"http://localhost:{sock.getsockname()[1]}"
        there: dict[str, Signatory] = {}
        if url is None:
            url, there = f"sqlite:///{folder / 'ledger.db'}", copied(folder)
        ledger = Ledger(url, SEALING_KEY)
        provider = None if registration is None else Provider(registration, origin, clock)
        desk = desk_of(folder, ledger, origin, clock, provider)
        here = House(desk=desk, clock=clock, people=dict(there))
        for role, name in NAMES.items() if people is None else people:
            if name not in there:
                here.add(name, role)
        with served(desk, sock):
            yield here
        ledger.close()


def desk_of(
    folder: Path, ledger: Ledger, origin: str, now: Callable[[], datetime], provider: Provider | None = None
) -> Desk:
    return Desk(
        ledger=ledger, sealer=Sealer(SEALING_KEY), schedule=load(POLICIES, "policies.toml"), log=LogFolder(folder / "log"),
        evidence=folder / "evidence", documents=Documents(folder / "documents", Sealer(SEALING_KEY)), errors=folder / "errors",
        origin=origin, now=now, provider=provider,
    )  # fmt: skip


def copied(folder: Path) -> dict[str, Signatory]:
    """A ledger with the people, copied rather than made: every test has one."""
    database, people = _made()
    (folder / "ledger.db").write_bytes(database)
    return people


@lru_cache(maxsize=1)
def _made() -> tuple[bytes, dict[str, Signatory]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        ledger = Ledger(f"sqlite:///{path}", SEALING_KEY)
        ledger.connection.upgrade()
        at = datetime.now(UTC)
        people = {name: person(ledger, name, role, at=at) for role, name in NAMES.items()}
        for name in people:
            ledger.accounts.set_password(name, HASHED, actor="test", at=at)
        ledger.close()
        assert not path.with_name("ledger.db-wal").exists(), "closing a ledger leaves one file"
        return path.read_bytes(), people


@contextmanager
def listening() -> Iterator[socket.socket]:
    # With the protocol named: else asyncio lets small answers wait 40 ms for an acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@contextmanager
def served(desk: Desk, sock: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(
        make_app(desk), log_level="warning", access_log=False, server_header=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server did not start in time"
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=20)
