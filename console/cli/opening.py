"""``open``: hand a sealed object's plaintext to an authorised person, whole or in part, to a new private file or to a pipe. ``reseal``."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, good
from console.cli.options import Here, Json, KeyFile, Name, Pipe
from console.cli.site import opened
from flows.openwork import governed_roots, open_sealed
from flows.openwork import reseal as seal_anew
from retention.errors import UsageError
from storage.sealed.opening import require_outside

PIPE = "-"


def open_(
    object: Annotated[
        str, Parameter(name="OBJECT", help="Id of a sealed object, or the path of its sealed file.")
    ],
    /,
    *,
    output: Annotated[
        str,
        Pipe,
        Parameter(name=["--output", "-o"], help="A new file for the plaintext, or - for a pipe."),
    ],
    range_: Annotated[
        str | None,
        Parameter(
            name="--range",
            help="Only these bytes: START-END, both included and counted from 0, or START- to the end.",
        ),
    ] = None,
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    start, end = span_of(range_)
    if output == PIPE and json:
        raise UsageError(
            "the plaintext and a JSON document cannot share standard output", "name a file with -o"
        )
    if output == PIPE and sys.stdout.isatty():
        raise UsageError("plaintext is not written to a terminal", "name a file with -o, or pipe it on")
    with opened(session) as site:
        if output != PIPE:
            path = Path(output)
            if path.is_symlink() or path.exists():
                raise UsageError("the output exists already", "name a new file: nothing is overwritten")
            require_outside(path, lambda: governed_roots(site))
        found = open_sealed(site, object, site.signatory(as_, key_file), start=start, end=end)
        count = to_pipe(found.portions) if output == PIPE else to_file(found.portions, Path(output))
    body = {"object": found.object.id, "record_type": found.object.record_type, "bytes": count}
    told = f"{words.plural(count, 'byte')} of object {found.object.id} opened; the ledger has the event"
    if output == PIPE:
        return Answer(command="open", body=body, plain="", notes=[told])
    return Answer(command="open", body=body, lines=[good(told), "remove the file when it has served"])


def reseal(
    *objects: Annotated[str, Parameter(name="OBJECT", help="Ids of sealed objects.")],
    as_: Name,
    key_file: KeyFile = None,
    json: Json = False,
    session: Here,
) -> Answer:
    if not objects:
        raise UsageError("no object was named", "their ids stand in the names of the sealed files")
    with opened(session) as site:
        done = seal_anew(site, objects, site.signatory(as_, key_file))
    lines: list[Line] = [good(f"{old} is now {new}") for old, new in done.items()]
    note = "the old keys are worthless in older versions of the key store from the next rotation on: retention keys rotate"
    return Answer(command="reseal", body={"resealed": done}, lines=lines, notes=[note])


def span_of(text: str | None) -> tuple[int, int | None]:
    """First byte, and the byte after the last one (``None``: to the end). Raises `UsageError`."""
    if text is None:
        return 0, None
    first, dash, last = text.partition("-")
    digits = first.isascii() and first.isdigit() and (not last or (last.isascii() and last.isdigit()))
    if not (dash and digits) or (last and int(last) < int(first)):
        raise UsageError("this is not a range", "write START-END in bytes, for instance 0-1048575, or START-")
    return int(first), int(last) + 1 if last else None


def to_pipe(portions: Iterator[memoryview]) -> int:
    """Write everything to standard output. Returns the bytes."""
    count = 0
    try:
        for portion in portions:
            sys.stdout.buffer.write(portion)
            count += len(portion)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return count


def to_file(portions: Iterator[memoryview], path: Path) -> int:
    """Write everything to a new file that only its owner may read; under its name it is whole or not there. Returns the bytes."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    count = 0
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                for portion in portions:
                    rest = portion
                    while rest:
                        rest = rest[file.write(rest) :]
                    count += len(portion)
                os.fsync(file.fileno())
            os.link(temporary, path)  # unlike a rename, never in the place of another file
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError:
        raise UsageError("the output exists already", "name a new file: nothing is overwritten") from None
    except OSError as error:
        raise UsageError(f"the output cannot be written: {error.strerror}", "choose another folder") from None
    return count
