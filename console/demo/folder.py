"""The demo's own folder: made, recognised, made again. Nothing outside it is read, destroyed or written.

Refuses a folder that it did not make, settings that lead out of the folder, and variables of the real site: they are taken
out of this process's environment for the time of the demo.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from flows import quiet
from flows.settings import Settings, load_settings
from retention.errors import Refused, UsageError

MARKER = ".retention-demo"
MARK = "Made by `retention demo`, which may delete what it made here and make it again.\n"
OURS = (
    "library.db",
    "library.db-wal",
    "library.db-shm",
    "exports",
    "computers",
    "cameras",
    "state",
    "keys",
    "policies.toml",
    ".env",
)
"""What the demo makes; whatever else lies in the folder is left alone."""

SETTINGS = """\
# The settings of the demo library. `retention` reads this file when it runs in this folder.
RETENTION_POLICIES=policies.toml
RETENTION_STATE_DIR=state
RETENTION_KEYRING=keys
RETENTION_STORES__ILS__URL=sqlite:///library.db
RETENTION_STORES__EXPORTS__ROOT=exports
RETENTION_STORES__COMPUTERS__ROOT=computers
RETENTION_STORES__CAMERAS__ROOT=cameras
"""

FOREIGN = ("RETENTION_", "PREFECT_")


def make_anew(folder: Path) -> None:
    """An empty demo folder with its schedule and settings. Raises `Refused` for one that is not the demo's own."""
    marker = folder / MARKER
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise Refused(f"{folder} is not a folder", "name another: retention demo --folder NAME")
    if (
        folder.exists()
        and any(folder.iterdir())
        and not (marker.is_file() and marker.read_text(encoding="utf-8") == MARK)
    ):
        raise Refused(
            f"{folder} was not made by the demo and is left alone",
            "name another: retention demo --folder NAME",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        marker.write_text(MARK, encoding="utf-8")
        _keep_edited(folder / "policies.toml")
        for name in OURS:
            _remove(folder / name)
        (folder / "policies.toml").write_bytes(shipped_schedule())
        (folder / ".env").write_text(SETTINGS, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{folder}: {error.strerror}", "name a folder you may write to: retention demo --folder NAME"
        ) from None


@contextmanager
def only_here(folder: Path) -> Iterator[Settings]:
    """Work inside the folder, with its settings and none of the environment's."""
    before, at = dict(os.environ), Path.cwd()
    for name in [name for name in os.environ if name.upper().startswith(FOREIGN)]:
        del os.environ[name]
    try:
        os.chdir(folder)
        settings = load_settings()
        require_inside(settings)
        quiet.apply(settings.state_dir)
        yield settings
    finally:
        os.chdir(at)
        os.environ.clear()
        os.environ.update(before)


def require_inside(settings: Settings) -> None:
    """Every place the settings name lies in the current folder, which is a demo's. Raises `Refused`."""
    here = Path.cwd().resolve()
    roots = [store.root for store in settings.stores.values() if store.root is not None]
    urls = [store.url.get_secret_value() for store in settings.stores.values() if store.url is not None]
    urls.append(settings.ledger)
    paths = [settings.policies, settings.state_dir, settings.evidence, settings.keyring.expanduser(), *roots]
    paths += [Path(url.removeprefix("sqlite:///")) for url in urls]
    if not (here / MARKER).is_file() or not all(url.startswith("sqlite:///") for url in urls):
        raise Refused(
            "these are not the settings of a demo library", "unset RETENTION_SECRETS_DIR and try again"
        )
    if not all(path.resolve().is_relative_to(here) for path in paths):
        raise Refused("a setting leads out of the demo's folder", "unset RETENTION_SECRETS_DIR and try again")


def shipped_schedule() -> bytes:
    return (files("console.demo") / "policies.toml").read_bytes()


def _keep_edited(schedule: Path) -> None:
    """A schedule that somebody tried things with is put aside, not lost."""
    if schedule.is_file() and not schedule.is_symlink() and schedule.read_bytes() != shipped_schedule():
        schedule.replace(schedule.with_name("policies.yours.toml"))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
