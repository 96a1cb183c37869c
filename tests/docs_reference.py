"""The reference sections of docs/commands.md and docs/settings.md, made from the program itself, and whether they still match.

``python -m tests.docs_reference`` writes them again; ``tests.docs_check`` compares. Refuses a reference that is missing.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App, Argument
from pydantic.fields import FieldInfo

from console.cli.registry import COMMANDS, EPILOGUE, GROUPS, build
from console.cli.session import Session
from flows.settings import BucketAccess, Settings, StoreSettings, WitnessSettings

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"
_KINDS = {"str": "TEXT", "Path": "PATH", "int": "NUMBER", "date": "DATE"}


def documents() -> dict[Path, str]:
    """Each document with the reference it must hold."""
    return {ROOT / "docs" / "commands.md": commands(), ROOT / "docs" / "settings.md": settings()}


def commands() -> str:
    """Every command with its arguments and options, in the order of the registry."""
    app = build(Session.start())
    parts: list[str] = []
    told: set[str] = set()
    for command in COMMANDS:
        group, _, own = command.name.rpartition(" ")
        if group and group not in told:
            told.add(group)
            parts.append(f"### {group}\n\n{GROUPS[group]}\n")
        found = app[group][own] if group else app[own]
        parts.append(
            f"{'####' if group else '###'} retention {command.name}\n\n{command.help}\n\n{_arguments(found)}"
        )
    codes = EPILOGUE.removeprefix("Exit codes: ").rstrip(".")
    return (
        "\n".join(parts)
        + "\n### Exit codes\n\n"
        + "\n".join(
            f"- `{code[:3].strip()}` {code[3:].strip()}"
            if code[:3] == "130"
            else f"- `{code[:1]}` {code[2:]}"
            for code in codes.split(", ")
        )
        + "\n"
    )


def _arguments(app: App) -> str:
    rows = [
        _row(argument) for argument in app.assemble_argument_collection() if argument.show and argument.parse
    ]
    return "| | |\n|---|---|\n" + "\n".join(rows) + "\n"


def _row(argument: Argument) -> str:
    names = ", ".join(f"`{name}`" for name in argument.names if not name.startswith("--no-"))
    kind = "" if "bool" in str(argument.hint) else f" {_kind(argument)}"
    many = " (several)" if "list" in str(argument.hint) else ""
    needed = " *required*" if argument.required else ""
    return f"| {names}{kind}{many}{needed} | {argument.parameter.help or ''} |"


def _kind(argument: Argument) -> str:
    choices = argument.get_choices()
    if choices:
        return "\\|".join(choices)
    return next((word for name, word in _KINDS.items() if name in str(argument.hint)), "")


def settings() -> str:
    """Every setting by its variable's name."""
    own = [
        _setting(f"RETENTION_{name.upper()}", field)
        for name, field in Settings.model_fields.items()
        if name not in {"stores", "log_s3", "witnesses"}
    ]
    of_log = [
        _setting(f"RETENTION_LOG_S3__{name.upper()}", field)
        for name, field in BucketAccess.model_fields.items()
    ]
    witness = [
        _setting(f"RETENTION_WITNESSES__NAME__{name.upper()}", field, required=True)
        for name, field in WitnessSettings.model_fields.items()
    ]
    each = [
        _setting(f"RETENTION_STORES__NAME__{name.upper()}", field)
        for name, field in StoreSettings.model_fields.items()
    ]
    return "| variable | default |\n|---|---|\n" + "\n".join([*own, *of_log, *witness, *each]) + "\n"


def _setting(variable: str, field: FieldInfo, *, required: bool = False) -> str:
    default = "" if field.default is None or required else f"`{field.default}`"
    return f"| `{variable}` | {default} |"


def problems() -> Iterator[str]:
    """Where a document is not what the program says, and examples that call a command or option that does not exist."""
    for path, reference in documents().items():
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if _within(text) != reference:
            yield f"{path.relative_to(ROOT)}: the reference is not up to date: run python -m tests.docs_reference"
    names = {command.name for command in COMMANDS} | set(GROUPS)
    app = build(Session.start())
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for words in _calls(path.read_text(encoding="utf-8")):
            yield from (f"{path.relative_to(ROOT)}: {problem}" for problem in _wrong(words, names, app))
    named = re.compile(r"RETENTION_[A-Z0-9_]+")
    known = set(named.findall(settings())) | {"RETENTION_SECRETS_DIR"}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for variable in sorted(set(named.findall(path.read_text(encoding="utf-8")))):
            if (
                re.sub(r"^(RETENTION_(?:STORES|WITNESSES)__)[A-Z0-9_]+?(__[A-Z]+)$", r"\1NAME\2", variable)
                not in known
            ):
                yield f"{path.relative_to(ROOT)}: there is no setting {variable}"


def _within(text: str) -> str | None:
    found = re.search(f"{BEGIN}\n(.*){END}", text, re.DOTALL)
    return found[1] if found else None


def _calls(text: str) -> Iterator[list[str]]:
    """Command lines in fenced blocks that call ``retention``, continued lines joined."""
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.match(r"\$ (?:\S*/)?retention( .*)?$", line)
            if found:
                yield shlex.split((found[1] or "").partition(" #")[0].partition(" <")[0].partition(" | ")[0])


def _wrong(words: list[str], names: set[str], app: App) -> Iterator[str]:
    known = next((" ".join(words[:count]) for count in (2, 1) if " ".join(words[:count]) in names), None)
    if known is None:
        if words and not words[0].startswith("-"):
            yield f"there is no command retention {words[0]}"
        return
    if known in GROUPS:
        return
    group, _, own = known.rpartition(" ")
    found = app[group][own] if group else app[own]
    options = {name for argument in found.assemble_argument_collection() for name in argument.names}
    for word in words[known.count(" ") + 1 :]:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in options | {"--help", "--version"}:
            yield f"retention {known} has no option {option}"


def main() -> int:
    """Write the references again."""
    for path, reference in documents().items():
        text = (
            path.read_text(encoding="utf-8")
            if path.is_file()
            else f"# {path.stem.title()}\n\n{BEGIN}\n{END}\n"
        )
        begins, ends = text.index(BEGIN) + len(BEGIN) + 1, text.index(END)
        path.write_text(text[:begins] + reference + text[ends:], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)} is up to date\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
