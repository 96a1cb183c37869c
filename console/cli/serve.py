"""Long-running services: ``serve flows``, the nightly schedule with the keeper beside it, and ``serve holds``, the keeper alone."""

from __future__ import annotations

import signal
from threading import Event

from console.cli.answer import Answer
from console.cli.options import Here, Json
from flows.keeping import Keeper
from flows.serving import serve
from flows.settings import load_settings


def flows(*, json: Json = False, session: Here) -> Answer:
    settings = load_settings()
    session.note(
        f"sealing at “{settings.seal}”, nightly run at “{settings.nightly}”, reminders at “{settings.remind}”, on the library's clock; Ctrl-C ends"
    )
    serve(settings, tell=session.note)
    return Answer(command="serve.flows", body={"served": True}, lines=["the service has ended"])


def holds(*, json: Json = False, session: Here) -> Answer:
    stop = Event()
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda _number, _frame: stop.set())
    session.note("holds are made effective and questions answered as they come; Ctrl-C ends")
    Keeper(load_settings(), tell=session.note).run(stop)
    return Answer(command="serve.holds", body={"served": True}, lines=["the service has ended"])
