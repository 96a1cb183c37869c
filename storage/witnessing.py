"""Has checkpoints of the log cosigned by witnesses (C2SP tlog-witness, ``add-checkpoint``): whoever trusts one of them knows that
nobody was shown another log.

Sends the checkpoint and hashes, nothing else. Takes from the answer what verifies under the key of the settings, and nothing
else. A witness that does not answer, refuses, or saw another log stops nothing: it is written down, and the next run asks again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from retention.checkpoint import Opened, whole_number
from retention.errors import RetentionError, Unavailable, VerificationFailed
from retention.note import MAX_BYTES, Note, NoteKey, NoteSignature
from retention.note import read as read_note
from retention.tiles import Hashes
from storage.log import Log

SECONDS = 10.0
"""For a whole answer of a witness, however slowly it comes."""
_OK, _CONFLICT, _NOT_CONSISTENT = 200, 409, 422

Post = Callable[[bytes], tuple[int, bytes]]
"""Sends the body of an ``add-checkpoint``; status and body of the answer. Raises `Unavailable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """``key``: of kind cosignature; it names the witness."""

    key: NoteKey
    post: Post


class _NoRedirect(HTTPRedirectHandler):
    """The address stands in the settings. Whoever answers there does not choose another one."""

    def redirect_request(self, *_given: Any, **_named: Any) -> None:
        return None


def over_http(url: str) -> Post:
    """The witness at an address. The address comes from the settings, which take http and https only."""
    target = f"{url.rstrip('/')}/add-checkpoint"

    def post(body: bytes) -> tuple[int, bytes]:
        answers: list[tuple[int, bytes]] = []
        causes: list[str] = []

        def ask() -> None:
            sent = Request(target, body, {"Content-Type": "text/plain; charset=utf-8"})  # noqa: S310  # see above
            try:
                try:
                    with build_opener(_NoRedirect).open(sent, timeout=SECONDS) as answer:
                        answers.append((int(answer.status), answer.read(MAX_BYTES + 1)))
                except HTTPError as error:  # an answer as well
                    with error:
                        answers.append((error.code, error.read(MAX_BYTES + 1)))
            except (OSError, ValueError, EOFError) as error:  # also what http.client makes of nonsense
                causes.append(type(getattr(error, "reason", error)).__name__)
            except Exception as error:  # noqa: BLE001  # the thread's own door: http.client's errors are no OSErrors
                causes.append(type(error).__name__)

        # In a thread of its own: the time limit of a socket begins anew with every byte that comes.
        thread = Thread(target=ask, name="witness", daemon=True)
        thread.start()
        thread.join(SECONDS)
        if not answers:
            raise Unavailable(f"it does not answer: {causes[0] if causes else 'too slow'}", "see its address")
        return answers[0]

    return post


def cosign(log: Log, opened: Opened, witness: Witness) -> bool:
    """Have a checkpoint cosigned and put the signature below it. False when the log has grown meanwhile: then the next one is.

    Raises `Unavailable` when no cosignature was to be had, `VerificationFailed` when the witness has seen a log that this one
    does not continue.
    """
    hashes = Hashes(log.files.hashes, opened.root.size)
    old = 0
    status, data = witness.post(_request(old, hashes, opened))
    if status == _CONFLICT:  # it says how far it has seen the log
        old = whole_number(data[:32].decode("ascii", "replace").rstrip("\n"), "the size a witness has seen")
        if old > opened.root.size:
            raise VerificationFailed(
                f"it has seen {old:,} entries of this log, which has {opened.root.size:,}: the log was set back",
                "see docs/log.md",
            )
        status, data = witness.post(_request(old, hashes, opened))
    if status == _NOT_CONSISTENT or (status == _CONFLICT and old == opened.root.size):
        raise VerificationFailed("it has seen a log that this one does not continue", "see docs/log.md")
    if status != _OK:
        raise Unavailable(
            f"it answered with status {status}", "ask whoever keeps it whether it knows this log"
        )
    return log.put_below(opened, _cosignature(data, opened, witness.key))


def _request(old: int, hashes: Hashes, opened: Opened) -> bytes:
    proof = "".join(f"{base64.b64encode(one).decode('ascii')}\n" for one in hashes.consistency(old))
    return f"old {old}\n{proof}\n".encode() + opened.stamped


def _cosignature(data: bytes, opened: Opened, key: NoteKey) -> NoteSignature:
    """The witness's own line in its answer, checked. Raises `Unavailable`."""
    text = opened.note.text
    try:
        found = read_note(text.encode() + b"\n" + data)
        own = next((one for one in found.signatures if (one.name, one.hash) == (key.name, key.hash)), None)
        if own is not None and Note(text=text, signatures=(own,)).check([key]):
            return own
    except VerificationFailed:
        pass
    raise Unavailable(
        "it did not sign under its key", "compare the key in the settings with the one it publishes"
    )


def ask_all(
    log: Log, witnesses: tuple[Witness, ...], trouble: Callable[[NoteKey, RetentionError], None]
) -> None:
    """Ask every witness that has not cosigned the published checkpoint. ``trouble`` is told of each that did not now."""
    for witness in witnesses:
        opened = log.opened()
        if opened is None:
            return
        if any(
            (one.name, one.hash) == (witness.key.name, witness.key.hash) for one in opened.note.signatures
        ):
            continue
        try:
            cosign(log, opened, witness)
        except (Unavailable, VerificationFailed) as error:
            trouble(witness.key, error)
