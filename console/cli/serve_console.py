"""``serve console``: the pages, a process of their own that reaches neither stores nor keys nor the scheduler."""

from __future__ import annotations

import uvicorn

from console.cli.answer import Answer
from console.cli.options import Here, Json
from console.web.app import make_app
from console.web.desk import open_desk
from console.web.oidc import Registration
from flows.buckets import log_place
from flows.clock import clock
from flows.settings import Settings, load_settings


def registration_of(settings: Settings) -> Registration | None:
    """How the pages are known at the identity provider; ``None`` without one. Raises `SettingsError`."""
    secret = settings.console_oidc_client_secret
    if settings.console_oidc_issuer is None:
        return None
    return Registration(
        issuer=settings.console_oidc_issuer,
        client_id=settings.console_oidc_client_id,
        client_secret=None if secret is None else secret.get_secret_value(),
    )


def console(*, json: Json = False, session: Here) -> Answer:
    settings = load_settings()
    host, port = settings.console_host, settings.console_port
    origin = settings.origin
    desk = open_desk(
        ledger_url=settings.ledger, state=settings.state_dir, policies=settings.policies, log=log_place(settings),
        evidence=settings.evidence, origin=origin, now=session.now or clock, grace_days=settings.grace_days,
        registration=registration_of(settings), required=settings.required,
    )  # fmt: skip
    session.note(f"the pages are at {origin}, listening on {host}:{port}; Ctrl-C ends")
    try:
        uvicorn.run(
            make_app(desk), host=host, port=port, access_log=False, server_header=False, log_level="warning",
            timeout_graceful_shutdown=5, h11_max_incomplete_event_size=64 * 1024, lifespan="off",
        )  # fmt: skip
    finally:
        desk.ledger.close()
    return Answer(command="serve.console", body={"served": True}, lines=["the pages are closed"])
