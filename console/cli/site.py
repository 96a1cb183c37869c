"""Opening this site for one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console.cli.session import Session
from flows.clock import clock
from flows.settings import load_settings
from flows.wiring import Site


@contextmanager
def opened(session: Session, *, policies: Path | None = None) -> Iterator[Site]:
    """The site of the settings, closed afterwards. ``policies``: another schedule than the settings name."""
    settings = load_settings()
    if policies is not None:
        settings = settings.model_copy(update={"policies": policies})
    site = Site(settings, session.now or clock)
    try:
        yield site
    finally:
        site.close()
