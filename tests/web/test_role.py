"""The pages' own role on PostgreSQL: what the documents grant is enough for what people do, and not for anything else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from retention.permissions import Role
from retention.signing import generate
from storage.ledger.ledger import Ledger
from tests.storage.desk import SEALING_KEY, given_passkey, person
from tests.web.house import HASHED, House, house
from tests.web.test_bad_input import HOLD, approving, opened, signature

pytestmark = pytest.mark.postgresql

ROLE = "retention_console"
GRANTS = re.search(
    r"### The pages' role.*?```sql\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "ledger.md").read_text(),
    re.DOTALL,
)


@pytest.fixture
def as_console(postgresql_url: str, tmp_path: Path) -> Iterator[tuple[House, str]]:
    """A desk whose ledger is opened by the pages' role; the ledger was made by its owner."""
    assert GRANTS is not None
    owner = Ledger(postgresql_url, SEALING_KEY)
    owner.connection.upgrade()
    owner.close()
    engine = create_engine(postgresql_url, poolclass=NullPool)
    with engine.begin() as connection:
        if (
            connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": ROLE}).first()
            is None
        ):
            connection.execute(text(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'console'"))
        connection.execute(text(GRANTS[1]))
    url = (
        make_url(postgresql_url).set(username=ROLE, password="console").render_as_string(hide_password=False)
    )
    owner = Ledger(postgresql_url, SEALING_KEY)
    with house(tmp_path, url, people=()) as made:
        for name, role in (
            ("director", Role.CUSTODIAN),
            ("deputy", Role.SECOND_CUSTODIAN),
            ("auditor", Role.AUDITOR),
            ("administrator", Role.ADMINISTRATOR),
        ):
            made.people[name] = person(owner, name, role, at=made.clock())
            made.ledger.accounts.set_password(name, HASHED, actor="test", at=made.clock())
        made.owner = owner
        yield made, url
    owner.close()


def test_what_is_granted_is_enough_to_decide(as_console: tuple[House, str]) -> None:
    made, _ = as_console
    assert made.owner is not None
    case = opened(made, made.owner)
    with made.client("director") as director, made.client("deputy") as deputy:
        for client, name in ((director, "director"), (deputy, "deputy")):
            path = approving(made, client, case).headers["location"]
            assert client.post(path, data=signature(made, client, path, name)).status_code == 303
        path = director.post("/holds/new", data=HOLD).headers["location"]
        assert director.post(path, data=signature(made, director, path, "director")).status_code == 303
        for page in (
            "/",
            "/cases",
            f"/cases/{case.id}",
            "/holds",
            "/events",
            "/certificates",
            "/account",
            "/undecided",
        ):
            assert director.get(page).status_code == 200
        returned = director.post(f"/cases/{case.id}/return", data={"reason": "not now"}).headers["location"]
        assert (
            director.post(returned, data=signature(made, director, returned, "director")).status_code == 303
        )
        assert director.post("/sign-out").status_code == 303
    assert len(made.ledger.people.decisions(case.id)) == 3


def test_what_is_granted_is_enough_to_manage_people_but_not_to_add_one(
    as_console: tuple[House, str],
) -> None:
    made, _ = as_console
    phone = generate("phone").public
    given_passkey(made.ledger, made.people["auditor"], phone, at=made.clock())
    acts: tuple[tuple[str, dict[str, str]], ...] = (
        ("role", {"role": "operator"}),
        ("invite", {}),
        ("disable", {}),
        ("enable", {}),
        (f"passkeys/{phone.keyid}/retire", {}),
    )
    with made.client("administrator") as client:
        for act, form in acts:
            path = client.post(f"/people/auditor/{act}", data=form).headers["location"]
            assert client.post(path, data=signature(made, client, path, "administrator")).status_code == 303
        assert client.get("/people").status_code == 200
        assert "adds nobody on this site" in client.get("/people/new").text
        form = {"name": "mei", "full_name": "Mei", "title": "T", "role": "auditor"}
        refused = client.post("/people/new", data=form | {"public": generate("mei").public.line})
        assert (refused.status_code, "adds nobody on this site" in refused.text) == (422, True)
    assert made.ledger.people.get("auditor").role is Role.OPERATOR


FORBIDDEN = (
    "INSERT INTO intent SELECT * FROM intent",
    "INSERT INTO outcome SELECT * FROM outcome",
    "INSERT INTO certificate SELECT * FROM certificate",
    "INSERT INTO log_entry SELECT * FROM log_entry",
    "INSERT INTO case_file SELECT * FROM case_file",
    "INSERT INTO schedule_version SELECT * FROM schedule_version",
    "INSERT INTO person SELECT * FROM person",
    "UPDATE person SET role = 'custodian'",
    "UPDATE switch SET engaged = false",
    "DELETE FROM switch",
    "DELETE FROM event",
    "UPDATE approval SET person = 'deputy'",
    "DELETE FROM hold",
    "INSERT INTO alembic_version VALUES ('9999')",
    "CREATE TABLE mine (id integer)",
    "DROP TABLE event",
)


def test_what_is_granted_is_not_enough_for_anything_else(as_console: tuple[House, str]) -> None:
    _, url = as_console
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    for statement in FORBIDDEN:
        with (
            pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
            engine.begin() as connection,
        ):
            connection.execute(text(statement))
