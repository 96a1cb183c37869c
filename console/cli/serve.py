"""``serve flows``: the nightly schedule as a service. The scheduler is imported only when it is wanted."""

from __future__ import annotations

from console.cli.answer import Answer
from console.cli.options import Here, Json
from flows.serving import serve
from flows.settings import load_settings


def flows(*, json: Json = False, session: Here) -> Answer:
    settings = load_settings()
    session.note(
        f"sealing at “{settings.seal}”, nightly run at “{settings.nightly}”, reminders at “{settings.remind}”, on the library's clock; Ctrl-C ends"
    )
    serve(settings)
    return Answer(command="serve.flows", body={"served": True}, lines=["the service has ended"])
