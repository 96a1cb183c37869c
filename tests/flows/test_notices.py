"""Notices reach a real receiver over HTTP, say counts and nothing else, and never stop anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from flows import notices, running
from flows.reminders import reminders
from flows.settings import Settings, load_settings
from flows.wiring import Site
from tests.flows.conftest import CANARY
from tests.flows.test_reminders import person, placed


class Receiver:
    """What was posted to it, in order."""

    def __init__(self) -> None:
        self.posted: list[dict[str, str]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                receiver.posted.append(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return None

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"json://zqcanary-user:zqcanary-password@127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def told(receiver: Receiver, library: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The site with its notices sent to the receiver."""
    monkeypatch.setenv("RETENTION_NOTICES", receiver.address)
    site = Site(load_settings())
    yield site
    site.close()


def test_reminders_are_sent_in_counts(told: Site, receiver: Receiver) -> None:
    running.run(told, record_types=["fees"], execute=True)
    placed(told, person(told, "ada"))
    notices.tell(told, reminders(told).counts)
    (posted,) = receiver.posted
    assert "1 case waits for approval." in posted["message"]
    assert "retention queue" in posted["message"]
    assert CANARY not in json.dumps(posted)


def test_a_sealed_hold_is_in_no_notice(told: Site, receiver: Receiver) -> None:
    placed(told, person(told, "ada"), sealed=True, review_every_days=1)
    notices.tell(told, reminders(told).counts)
    assert receiver.posted == []


def test_a_run_in_trouble_and_a_brake_are_told_once_it_is_over(
    told: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = told.settings.policies.read_text(encoding="utf-8")
    told.settings.policies.write_text(text.replace("records = 1000", "records = 1", 1), encoding="utf-8")
    monkeypatch.setenv("RETENTION_STORES__ILS__URL", "sqlite:////nowhere/at-all.db")
    broken = Site(load_settings())
    running.run(broken, record_types=["rooms"], execute=True)
    broken.close()
    running.run(told, record_types=["loans", "rooms"], execute=True)
    first, second = (one["message"] for one in receiver.posted)
    assert "1 record type was in trouble in the last run." in first
    assert "1 case was stopped by a brake." in second
    assert "trouble" not in second


def test_nothing_is_sent_when_there_is_nothing_to_tell(told: Site, receiver: Receiver) -> None:
    running.run(told, record_types=["rooms"], execute=True)
    assert receiver.posted == []


def test_an_address_that_takes_nothing_stops_nothing_and_is_noted_without_being_named(
    told: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    monkeypatch.setenv(
        "RETENTION_NOTICES",
        f"json://zqcanary-user:zqcanary-password@127.0.0.1:1/ nonsense {receiver.address}",
    )
    site = Site(load_settings())
    notices.tell(site, {"approve": 2})
    assert [one["message"].splitlines()[0] for one in receiver.posted] == ["2 cases wait for approval."]
    (noted,) = [event for event in site.ledger.events() if event.kind == "notice.not-sent"]
    assert noted.body == '{"addresses":2}'
    site.close()
    assert "zqcanary" not in caplog.text + "".join(capfd.readouterr())
    assert "zqcanary" not in repr(load_settings())
