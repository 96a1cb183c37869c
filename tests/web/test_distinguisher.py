"""The pages of two libraries that differ by a sealed hold alone: nobody who may not know of it can tell them apart, in whatever role.

Every route of the app is asked, as a page and as JSON; and what is sent to the sealed hold is answered as what is sent to none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import unified_diff
from io import BytesIO
from zipfile import ZipFile

import httpx
import pytest
from fastapi.routing import APIRoute

from console.web.app import make_app
from console.web.desk import Desk, open_desk
from console.web.doors import admission_of
from flows.answering import ANSWERS, answer
from flows.settings import load_settings
from flows.wiring import Site
from retention.log_files import LogFolder
from retention.permissions import Act, Role, may
from tests.console.library import furnish
from tests.console.twins import HIDDEN, ROLES, SECRET, Shell, twins, without_chance
from tests.web.house import House, listening, served

UNKNOWN = "H20350615-0badcafe"
"""An id of no hold in either library."""
PDF = b"%PDF-1.7\nzq\n"
SENT = {
    "links": UNKNOWN, "reason": "no", "verdict": "rejected", "next_review": "2036-01-01", "told": "bela", "add": "bela", "remove": "ada",
    "record_types": "past-checkouts", "number": "1", "kind": "audit", "authority": "State", "digest": "00" * 32,
}  # fmt: skip
"""Something usable in every field of every form of a hold."""


@dataclass
class Still:
    """A clock that stands still."""

    at: datetime
    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return self.at + self.ahead


@dataclass
class Library:
    """One of the two, behind its pages. ``open``: the hold that everybody sees; ``case``: one that waits."""

    shell: Shell
    house: House
    names: dict[str, str]

    @property
    def desk(self) -> Desk:
        return self.house.desk


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, Library]]:
    furnished = furnish(tmp_path_factory.mktemp("furnished"))
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        made = []
        for shell in twins(tmp_path_factory.mktemp("twins"), furnished, patch):
            for record_type in ("past-checkouts", "vendor-exports", "camera-footage"):
                shell("run", "--execute", "--record-type", record_type)
                shell.library.now += timedelta(seconds=1)  # cases of one moment have no order
            (case,) = shell.done("case", "list", "--state", "started", "--json").json["cases"]
            certificate = shell.done("certificate", "list", "--json").json["certificates"][0]
            (hold,) = shell.done("hold", "list", "--json").json["holds"]
            state = shell.library.state
            sock, clock = stack.enter_context(listening()), Still(shell.library.now)
            desk = open_desk(
                ledger_url=f"sqlite:///{state / 'ledger.db'}", state=state, policies=shell.library.policies, log=LogFolder(state / "evidence" / "log"),
                evidence=state / "evidence", origin=f"http://localhost:{sock.getsockname()[1]}", now=clock, grace_days=7,
            )  # fmt: skip
            names = {"case": case["id"], "certificate": certificate["id"], "open": hold["id"]}
            stack.callback(desk.ledger.close)
            stack.enter_context(served(desk, sock))
            made.append(Library(shell, House(desk=desk, clock=clock), names))
        one, other = made
        yield one, other


def routes(library: Library, method: str) -> list[tuple[str, Act | None]]:
    found = []
    for route in make_app(library.desk).routes:
        if isinstance(route, APIRoute) and method in (route.methods or ()):
            admission = admission_of(route)
            assert admission is not None
            found.append((route.path, admission.act if isinstance(admission.act, Act) else None))
    return found


def paths(library: Library) -> dict[str, str]:
    """Every address that is read, filled in, by what is the same in both libraries."""
    found = {}
    for path, _ in routes(library, "GET"):
        if "{" not in path:
            found[path] = path
            continue
        subject = path.split("/")[1]
        ids = {
            "cases": {"CASE": library.names["case"]},
            "certificates": {"CERTIFICATE": library.names["certificate"]},
            "holds": {"OPEN": library.names["open"], "SEALED": library.shell.sealed},
        }.get(subject, {"NONE": "none"})
        for name, id in ids.items():
            found[path.replace("{id}", name).replace("{name}", name)] = path.replace("{id}", id).replace("{name}", id)  # fmt: skip
    found["/events?subject=SEALED"] = f"/events?subject={library.shell.sealed}"
    found["/holds?released=yes&text=zq"] = "/holds?released=yes&text=zq"
    return found


def heard(library: Library, answer: httpx.Response) -> str:
    """What a browser is told, without what differs between any two libraries."""
    headers = {
        name: value for name, value in answer.headers.items() if name not in ("content-length", "set-cookie", "date")
    }  # fmt: skip
    text = f"{answer.status_code}\n{headers}\n{_readable(answer.content)}"
    text = re.sub(r'"challenge": "[^"]+"', "CHALLENGE", text)
    text = re.sub(r'name="seen" value="([^"]+)"', lambda found: f"TOKEN of {len(found[1])}", text)
    assert not any(secret in text for secret in SECRET), answer.url
    return without_chance(text.replace(library.shell.sealed, HIDDEN).replace(library.house.origin, "ORIGIN").replace(str(library.shell.library.root), "ROOT"))  # fmt: skip


def _readable(content: bytes) -> str:
    """A page as it is; of an archive its names, sorted, since what is in them is compared where it is shown."""
    if content.startswith(b"PK"):
        with ZipFile(BytesIO(content)) as archive:
            return "\n".join(sorted(archive.namelist()))
    return content.decode("utf-8", "replace")


@pytest.mark.parametrize("role", ROLES)
def test_no_page_tells_the_libraries_apart(libraries: tuple[Library, Library], role: str) -> None:
    one, other = libraries
    asked = [paths(library) for library in libraries]
    assert asked[0].keys() == asked[1].keys()
    found: list[str] = []
    with one.house.client(f"a-{role}") as first, other.house.client(f"a-{role}") as second:
        for name in asked[0]:
            for accept in ("text/html", "application/json"):
                said = [
                    heard(library, client.get(where[name], headers={"Accept": accept}))
                    for library, client, where in ((one, first, asked[0]), (other, second, asked[1]))
                ]
                if said[0] != said[1]:
                    lines = [text.replace(", ", ",\n").splitlines() for text in said]
                    found += [f"{name} {accept}: {line}" for line in [*unified_diff(lines[0], lines[1], n=0, lineterm="")][2:]]  # fmt: skip
    assert len(asked[0]) > 25
    assert not found, "\n".join(found)


@pytest.mark.parametrize("role", ROLES)
def test_what_is_sent_to_a_sealed_hold_is_answered_as_what_is_sent_to_none(
    libraries: tuple[Library, Library], role: str
) -> None:
    """The same bytes, whatever is sent and however it is asked."""
    library, _ = libraries
    ledger = library.desk.ledger
    before = ledger.holds.get(library.shell.sealed)
    tried = 0
    with library.house.client(f"a-{role}") as client:
        for method in ("GET", "POST"):
            for path, act in routes(library, method):
                if not path.startswith("/holds/{id}"):
                    continue
                for accept in ("text/html", "application/json"):
                    for sent in ({}, SENT):
                        said = [
                            plainly(client, method, path.replace("{id}", id), accept, sent)
                            for id in (library.shell.sealed, UNKNOWN)
                        ]
                        assert said[0] == said[1], (method, path, accept)
                        allowed = act is not None and may(Role(role), act)
                        assert said[0][0] == (404 if allowed else 403), (method, path)
                        tried += 1
    assert tried > 60
    after = ledger.holds.get(library.shell.sealed)
    assert (after.state, len(after.actions), after.revision) == (before.state, len(before.actions), before.revision)  # fmt: skip


def plainly(
    client: httpx.Client, method: str, path: str, accept: str, sent: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    files = {"document": ("order.pdf", PDF)} if sent and method == "POST" else None
    answer = client.request(
        method, path, headers={"Accept": accept}, data=sent if method == "POST" else None, files=files
    )
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, headers, answer.content


def test_nobody_learns_how_many_events_there_were(libraries: tuple[Library, Library]) -> None:
    for library in libraries:
        events = library.desk.ledger.lists.events(limit=500)
        anchors = [one.subject for one in events if one.body.get("kind") == "events"]
        assert anchors
        assert all(int(subject) > 10 for subject in anchors)
        with library.house.client("a-auditor") as client:
            for subject in anchors:
                assert client.get(f"/events.json?subject={subject}").json()["events"] == []
            told = client.get("/events.json").json()["events"]
        assert not {one["subject"] for one in told} & {*anchors}
        shown = [one["subject"] for one in told if one["details"].get("kind") == "events"]
        assert shown == [""] * len(anchors)


def test_a_sealed_hold_that_somebody_names_is_not_there(libraries: tuple[Library, Library]) -> None:
    """In what is typed: what it belongs with, what is searched for; and a statement of it that waits goes with the need to know."""
    library, _ = libraries
    with library.house.client("a-custodian") as client:
        for path in ("/holds/new", f"/holds/{library.names['open']}/link"):
            said = []
            for id in (library.shell.sealed, UNKNOWN):
                answer = client.post(path, data={**SENT, "links": id, "told": ""})
                assert answer.status_code == 422
                said.append(answer.text.replace(id, "TYPED"))
            assert "There is no hold TYPED." in said[0]
            assert said[0] == said[1], path


def test_a_preview_counts_the_same_in_both(libraries: tuple[Library, Library]) -> None:
    said, told = [], []
    for library in libraries:
        with library.house.client("a-custodian") as client:
            where = client.post("/holds/new", data={"do": "preview", "record_types": "past-checkouts"}).headers["location"]  # fmt: skip
            library.shell("doctor")  # its settings are in the environment now
            site = Site(load_settings(), library.desk.now)
            for question in site.ledger.questions.waiting():
                site.ledger.questions.answer(question.id, answer(site, question, ANSWERS), at=site.now())
            site.close()
            said.append(client.get(where.partition("#")[0]).text.partition('id="answer"')[2])
            id = where.partition("preview=")[2].partition("#")[0]
            told.append(
                client.get(f"/questions/{id}", headers={"Accept": "application/json"}).json()["answer"]
            )
    assert "from 2034-01-10 to 2035-06-14" in said[0]
    assert said[0] == said[1]
    assert told[0] == told[1]
    (kept,) = told[0]["record_types"]
    assert (kept["record_type"], kept["oldest"], kept["newest"]) == ("past-checkouts", "2034-01-10", "2035-06-14")  # fmt: skip


def test_those_on_the_list_see_it_and_nobody_else_who_was_taken_off(
    libraries: tuple[Library, Library],
) -> None:
    library, _ = libraries
    sealed = library.shell.sealed
    with library.house.client("bela") as client:
        assert "zq-matter" in client.get(f"/holds/{sealed}").text
        waits = client.post(f"/holds/{sealed}/know", data={"add": "a-auditor"}).headers["location"]
        assert client.get(waits).status_code == 200
        library.shell.done("hold", "know", sealed, "--remove", "bela", "--as", "ada")
        for path in (waits, f"{waits}/statement", f"{waits}/options", f"/holds/{sealed}"):
            assert client.get(path).status_code == 404, path
        assert client.post(waits, data={"signature": "x"}).status_code == 404
