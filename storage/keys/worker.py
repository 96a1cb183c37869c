"""Work with unwrapped keys, in a process of its own that ends with them: ``python -m storage.keys.worker``.

The job comes on standard input, its result goes to standard output, both as JSON: ids, counts, and for holds their scope. Keys are never in
arguments, environment, output or an error. The process writes no core dump and lets nobody of the same user look into its memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from retention.decide import Criteria
from retention.errors import (
    KeyStoreUnavailable,
    KeyUnreadable,
    Refused,
    RetentionError,
    SettingsError,
    UsageError,
)
from retention.holds import Hold, HoldState
from storage.database import stamp, unstamp
from storage.keys.drill import Drill
from storage.keys.ground import Ground
from storage.keys.hardening import harden
from storage.keys.keystore import KeyStore
from storage.keys.opening import KeySite
from storage.keys.roots.root import RootKind
from storage.keys.rotation import RotationReport
from storage.keys.versions import Settled
from storage.ledger.holds import scope_from_json, scope_to_json

_ERRORS = {
    one.__name__: one for one in (KeyStoreUnavailable, KeyUnreadable, Refused, SettingsError, UsageError)
}


class KeyWorker:
    """How a process that lives long has key work done. Each call is one process; its errors are raised here as they were there."""

    def __init__(self, site: KeySite) -> None:
        self._site = site

    def reconcile(self, criteria: Criteria, holds: Sequence[Hold], *, at: datetime) -> int:
        """Hold push-down for one record type at one location, given all holds in force that touch it. How many objects moved."""
        ground = Ground.of(criteria).to_json()
        told = self._do("reconcile", at, ground=ground, holds=[_hold_to_json(hold) for hold in holds])
        return int(told["moved"])

    def rotate(self, *, at: datetime, force: bool = False) -> RotationReport:
        """Finish or carry out a rotation of the root if one is needed, and settle what became of older roots."""
        told = self._do("rotate", at, force=force)
        settled = told.pop("settled")
        scheduled = {id: unstamp(until) for id, until in settled.pop("scheduled").items()}
        return RotationReport(**told, settled=Settled(scheduled=scheduled, **settled))

    def back_up(self, *, at: datetime) -> Path:
        return Path(self._do("back_up", at)["backup"])

    def drill(self, *, at: datetime, previous: Path | None = None) -> Drill:
        return Drill(**self._do("drill", at, previous=None if previous is None else str(previous.absolute())))

    def forget_shares(self, *, at: datetime) -> list[str]:
        return list(self._do("forget_shares", at)["forgotten"])

    def _do(self, job: str, at: datetime, **arguments: Any) -> dict[str, Any]:
        site = self._site
        told = {
            "job": job, "at": stamp(at), "url": site.url, "kind": site.kind.value, "roots": str(site.roots.absolute()),
            "backups": str(site.backups.absolute()), "region": site.region, "endpoint": site.endpoint,
            "window_days": site.window_days, "arguments": arguments,
        }  # fmt: skip
        done = subprocess.run(
            # -P: a folder called storage where the command was given is not to be taken for this program.
            [sys.executable, "-P", "-m", "storage.keys.worker"], input=json.dumps(told).encode(), stdout=subprocess.PIPE, check=False
        )  # fmt: skip
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            raise KeyStoreUnavailable(
                f"the process that works with keys ended with {done.returncode} before it was done",
                "run it again: it goes on where it was; its last words stand on standard error",
            ) from None
        if "error" in answer:
            raise _ERRORS.get(answer["error"], KeyStoreUnavailable)(answer["message"], answer["hint"])
        result: dict[str, Any] = answer["result"]
        return result


def carry_out(store: KeyStore, job: str, at: datetime, arguments: dict[str, Any]) -> dict[str, Any]:
    """One job. Raises what the key store raises."""
    if job == "reconcile":
        holds = [_hold_from_json(one) for one in arguments["holds"]]
        return {"moved": store.reconcile(Ground.from_json(arguments["ground"]), holds, at=at)}
    if job == "rotate":
        report = store.rotate(at=at, force=arguments["force"])
        settled = report.settled
        return {
            "rotated": report.rotated, "number": report.number, "replaced": report.replaced, "rewrapped": report.rewrapped,
            "proven": report.proven, "backup": report.backup,
            "settled": {
                "scheduled": {id: stamp(until) for id, until in settled.scheduled.items()},
                "gone": settled.gone,
                "revived": settled.revived,
            },
        }  # fmt: skip
    if job == "back_up":
        return {"backup": str(store.back_up(at=at))}
    if job == "drill":
        previous = arguments["previous"]
        done = store.drill(at=at, previous=None if previous is None else Path(previous))
        return {name: getattr(done, name) for name in Drill.__dataclass_fields__}
    if job == "forget_shares":
        return {"forgotten": store.forget_shares(at=at)}
    raise UsageError("there is no such job for the keys' worker", "this is a mistake in the program")


def main() -> int:
    sys.excepthook = _say_where
    harden()
    told = json.loads(sys.stdin.buffer.read())
    site = KeySite(
        url=told["url"], kind=RootKind(told["kind"]), roots=Path(told["roots"]), backups=Path(told["backups"]),
        region=told["region"], endpoint=told["endpoint"], window_days=told["window_days"],
    )  # fmt: skip
    try:
        store = site.open()
        try:
            answer: dict[str, Any] = {
                "result": carry_out(store, told["job"], unstamp(told["at"]), told["arguments"])
            }
        finally:
            store.close()
    except RetentionError as error:
        name = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS), "")
        answer = {"error": name, "message": error.message, "hint": error.hint}
    sys.stdout.write(json.dumps(answer))
    return 0


def _say_where(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The kind of an unexpected error and the lines it came through; never its text, which may quote a value."""
    while trace is not None:
        sys.stderr.write(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}\n")
        trace = trace.tb_next
    sys.stderr.write(f"{kind.__name__}\n")


def _hold_to_json(hold: Hold) -> dict[str, Any]:
    # Not when a snapshot was taken: sealed records do not tell when they came into being, and are kept by it like others.
    return {
        "id": hold.id, "state": hold.state.value, "scope": scope_to_json(hold.scope), "sealed": hold.sealed,
        "continuing": hold.continuing, "epoch": hold.epoch,
    }  # fmt: skip


def _hold_from_json(told: dict[str, Any]) -> Hold:
    return Hold(**{**told, "state": HoldState(told["state"]), "scope": scope_from_json(told["scope"])})


if __name__ == "__main__":
    sys.exit(main())
