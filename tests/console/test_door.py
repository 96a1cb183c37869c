"""The door of the command line: help, usage, JSON everywhere, unexpected errors, and what is imported when."""

from __future__ import annotations

import io
import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from console.cli import registry
from console.cli.fault import describe
from tests.console.library import Library

ROOT = Path(__file__).parents[2]
HEAVY = ("prefect", "sqlalchemy", "alembic", "boto3", "psycopg", "pymysql")


def imported_by(words: Sequence[str], cwd: Path) -> set[str]:
    """Which of the heavy packages a command imports, in a process of its own."""
    program = (
        "import sys\n"
        "from console.cli.main import main\n"
        f"code = main({list(words)!r})\n"
        f"print('imported:', *(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("imported:")[2].split())


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["hold", "--help"],
        ["check"],
        ["schema"],
        ["explain", "--help"],
        ["certificate", "verify", "--help"],
    ],
    ids=" ".join,
)
def test_what_needs_no_database_imports_none(bare: Library, words: list[str]) -> None:
    assert imported_by(words, bare.root) == set()


def test_verifying_imports_no_database(library: Library) -> None:
    library.done("run", "--execute", "--record-type", "past-checkouts")
    (certificate,) = library.done("certificate", "list", "--json").json["certificates"]
    assert imported_by(["certificate", "verify", certificate["path"]], library.root) == set()


def test_running_does_not_import_the_scheduler(library: Library) -> None:
    assert "prefect" not in imported_by(["run", "--on", "2035-06-15"], library.root)


@pytest.mark.parametrize("command", registry.COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_and_takes_json(bare: Library, command: registry.Command) -> None:
    if command.name in ("demo", "serve flows"):
        pytest.importorskip("console.demo.main" if command.name == "demo" else "flows.serving")
    said = bare.done(*command.name.split(), "--help")
    assert command.help.split("\n")[0].split(":")[0] in " ".join(said.out.split())
    assert "--json" in said.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["bogus"], "there is no command 'bogus'"),
        (["hold", "plce"], "did you mean 'place'?"),
        (["run", "--exceute"], "--exceute"),
        (["run", "--on", "tomorrow"], "--on"),
        (["explain"], "RECORD-TYPE"),
        (["run", "--cannot-decide", "-1"], "cannot-decide"),
        (["person", "add", "x", "--full-name", "X", "--title", "T", "--role", "king"], "king"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_ends_with_2_in_one_line_and_a_hint(bare: Library, words: list[str], told: str) -> None:
    said = bare(*words)
    assert said.code == 2
    assert said.out == ""
    assert told.lower() in said.err.lower().replace("_", "-")
    assert [line.split(":")[0] for line in said.err.splitlines()] == ["error", "hint"]


def test_an_error_is_a_document_too(bare: Library) -> None:
    said = bare("case", "show", "C1", "--json")
    assert said.code == 7
    assert said.json["format"] == "retention.error/1"
    assert said.json["exit_code"] == 7
    assert said.err.startswith("error: ")


SECRET = "patron 31415926"


def fail_unexpectedly() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ValueError(f"about {SECRET}") from error


def test_an_unexpected_error_tells_its_type_and_place_and_no_data(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.cli.run.apply", lambda *_args, **_more: fail_unexpectedly())
    said = library("run", "--json")
    assert said.code == 1
    assert said.err.splitlines()[0] == "unexpected: ValueError"
    assert said.json["exit_code"] == 1
    (path,) = (library.state / "errors").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text(encoding="utf-8")
    assert "fail_unexpectedly" in text
    assert "builtins.KeyError" in text
    assert SECRET not in text + said.out + said.err


def test_a_description_of_an_error_has_no_text_of_it() -> None:
    with pytest.raises(ValueError, match=SECRET) as caught:
        fail_unexpectedly()
    caught.value.add_note(SECRET)
    assert SECRET not in describe(caught.value)


def test_results_go_out_alone(library: Library) -> None:
    said = library.done(
        "person", "add", "ada", "--full-name", "Ada Example", "--title", "T", "--role", "custodian", "--json"
    )
    assert said.json["format"] == "retention.person.add/1"
    assert "note: " in said.err


def command(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "console.cli.main", *words]


def test_a_reader_that_leaves_early_is_no_error(library: Library) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        command(["schema"]),
        cwd=library.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.read(1)
    running.stdout.close()
    errors = running.stderr.read()
    running.stderr.close()
    assert (running.wait(timeout=30), errors) == (0, b"")


def on_terminal(words: list[str], library: Library, **more: str) -> tuple[int, str]:
    """Run a command with standard error on a terminal; its exit code and what the terminal saw."""
    master, slave = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **more}
    running = subprocess.Popen(
        command(words), cwd=library.root, env=environment, stdout=subprocess.DEVNULL, stderr=slave
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            block = os.read(master, 4096)
        except OSError:
            break
        if not block:
            break
        seen += block
    os.close(master)
    return running.wait(timeout=60), seen.decode()


def test_progress_is_drawn_on_a_terminal_only(library: Library) -> None:
    code, seen = on_terminal(["run", "--on", "2035-06-15"], library)
    assert code == 0
    assert "looking at past-checkouts/loans" in seen
    assert library.done("run").err == ""


def test_no_colour_when_it_is_not_wanted(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    _, coloured = on_terminal(["case", "show", "C1"], library)
    _, plain = on_terminal(["case", "show", "C1"], library, NO_COLOR="1")
    assert "\x1b[31m" in coloured
    assert "\x1b[31m" not in plain
    assert "error: there is no case C1" in plain


def test_a_name_cannot_steer_the_terminal(library: Library) -> None:
    folder = library.root / "exports" / "agency"
    (folder / "odd\x1b[2Jname.csv").write_bytes(b"")
    said = library("run", "--cannot-decide", "20")
    assert "\x1b" not in said.out + said.err
    assert "\\u001b" in said.out


def test_tables_fit_80_columns(staffed: Library) -> None:
    staffed.done("run", "--execute")
    for words in (["case", "list"], ["certificate", "list"], ["person", "list"], ["hold", "list"]):
        for line in staffed.done(*words).out.splitlines():
            assert len(line) <= 80, line


def test_json_is_one_document(staffed: Library) -> None:
    for words in (["run"], ["case", "list"], ["db", "check"], ["doctor"], ["check", "--stores"]):
        document = json.loads(staffed.done(*words, "--json").out)
        assert document["format"].startswith("retention.")


@pytest.mark.parametrize(
    "words",
    [
        ("export", "withdraw", "--as", "ada", "--subject-file"),
        ("scan", "--remember"),
        ("media", "plan", "--record-type", "x", "--from", "2030-01-01", "--to", "2030-01-02", "--as", "ada", "--media"),
        ("certificate", "open", "C1", "--record"),
        ("certificate", "ordinary-course", "--from", "2030-01-01", "--to", "2030-01-02", "--served", "2030-01-02", "--out", "x", "--subject"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_dash_is_standard_input_wherever_help_says_so(
    staffed: Library, words: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    class Given(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            read.append(1)
            return super().read(size)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Given(b"")))
    assert staffed(*words, "-").code == 2
    assert read
