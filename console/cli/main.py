"""The door of the command ``retention``: parses, calls one command, prints its answer, turns errors into exit codes.

Results go to standard output, everything else to standard error. The only broad ``except`` of the command line is here; it
prints the type of an unexpected error and never its text, which may quote a record.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

from cyclopts import CycloptsError, UnknownCommandError

from console.cli.answer import Answer, document, show
from console.cli.fault import keep
from console.cli.registry import build, later, no_such_command
from console.cli.session import Session
from retention.errors import RetentionError, UsageError

INTERRUPTED = 130
UNEXPECTED = 1


def main(arguments: Sequence[str] | None = None, *, now: Callable[[], datetime] | None = None) -> int:
    """Run one command and return its exit code. ``now``: another clock than the machine's, for tests."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    session = Session.start(now)
    as_json = "--json" in given
    try:
        return _print(_call(given, session), session, as_json=as_json)
    except UnknownCommandError:  # its own text would import every command
        return _failed(session, no_such_command(given), as_json=as_json)
    except CycloptsError as error:
        return _failed(session, UsageError(_one_paragraph(error), _help_for(given)), as_json=as_json)
    except RetentionError as error:
        return _failed(session, error, as_json=as_json)
    except KeyboardInterrupt as error:
        session.fail("interrupted", str(error) or "nothing is lost: give the same command again")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # one of the three doors: an unknown error must not quote data
        return _unexpected(session, error, as_json=as_json)


def _call(given: Sequence[str], session: Session) -> Answer | None:
    app = build(session)
    command, bound, wanted = app.parse_args(list(given), exit_on_error=False, print_error=False)
    answer = command(*bound.args, **bound.kwargs, **dict.fromkeys(wanted, session))
    return answer if isinstance(answer, Answer) else None


def _print(answer: Answer | None, session: Session, *, as_json: bool) -> int:
    if answer is None:  # help or version
        return 0
    for note in answer.notes:
        session.note(note)
    try:
        if as_json:
            sys.stdout.write(document(answer) + "\n")
        elif answer.plain is not None:
            sys.stdout.write(answer.plain)
        else:
            show(answer.lines, session.out)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough; what was done is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return answer.exit_code


def _failed(session: Session, error: RetentionError, *, as_json: bool) -> int:
    session.fail(error.message, error.hint)
    if as_json:
        body = {"error": error.message, "hint": error.hint, "exit_code": error.exit_code}
        _print(Answer(command="error", body=body), session, as_json=True)
    return error.exit_code


def _unexpected(session: Session, error: Exception, *, as_json: bool) -> int:
    kind = type(error).__name__
    path = keep(error, _state_dir() / "errors")
    where = (
        "where it happened could not be written down"
        if path is None
        else f"where it happened: {path} (no data in it)"
    )
    session.err.print(f"unexpected: {kind}", style="red", soft_wrap=True)
    session.err.print(f"hint: {where}; report it with your version", soft_wrap=True)
    if as_json:
        body = {"error": f"unexpected: {kind}", "hint": where, "exit_code": UNEXPECTED}
        _print(Answer(command="error", body=body), session, as_json=True)
    return UNEXPECTED


def _state_dir() -> Path:
    """Where the site keeps its state; by default where it would be, since the settings may be what failed."""
    try:
        return cast("Path", later("flows.settings:load_settings")().state_dir)
    except (RetentionError, ImportError, ValueError, OSError):
        return Path(os.environ.get("RETENTION_STATE_DIR") or "state")


def _one_paragraph(error: CycloptsError) -> str:
    return " ".join(str(error).split())


def _help_for(given: Sequence[str]) -> str:
    words = []
    for word in given:
        if word.startswith("-"):
            break
        words.append(word)
    return f"see: {' '.join(['retention', *words[:2], '--help'])}"


if __name__ == "__main__":
    sys.exit(main())
