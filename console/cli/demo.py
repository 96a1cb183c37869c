"""``demo``: an invented library in a folder, and the whole way of a record through it."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli.answer import Answer
from console.cli.options import Flag, Here, Json
from console.demo.main import run


def demo(
    *,
    folder: Annotated[
        Path, Parameter(help="Where the library is built; made again when it is the demo's own.")
    ] = Path("demo-library"),
    quiet: Annotated[bool, Flag, Parameter(help="Say only what came of it.")] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    told = sys.stderr if json else sys.stdout  # with --json, the document alone goes to standard output
    with redirect_stdout(told):
        exit_code = run(folder, quiet=quiet)
    return Answer(command="demo", body={"folder": folder, "ok": exit_code == 0}, exit_code=exit_code)
