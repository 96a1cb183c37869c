"""Golden transcripts: what a command prints, with everything that differs from run to run replaced.

To accept what is printed now: ``RETENTION_GOLDEN=accept pytest tests/console``, and read the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.console.library import Library, Said

FOLDER = Path(__file__).parent / "golden"
_DIFFERS = (
    (re.compile(r"\b([CH])\d{8}-[0-9a-f]{8}"), r"\1-ID"),
    (re.compile(r"\b(ed25519|p256):[0-9a-f]+"), r"\1:KEY"),
    (re.compile(r"retention.example/log/[0-9a-f]+"), "retention.example/log/KEY"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"\bmanifest [0-9a-f]{12}\b"), "manifest DIGEST"),
    (re.compile(r"hold epoch \d+"), "hold epoch N"),
    (re.compile(r"after \d+\.\d s\b"), "after N s"),
)


def transcript(library: Library, said: Said, *words: str) -> str:
    """The command, its output, its errors and its exit code, as one text."""
    text = f"$ retention {' '.join(words)}\n{said.out}"
    text += "".join(f"2> {line}\n" for line in said.err.splitlines())
    text += f"[exit {said.code}]\n"
    text = text.replace(str(library.root), "/library")
    for pattern, replacement in _DIFFERS:
        text = pattern.sub(replacement, text)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def same_as_before(name: str, text: str) -> None:
    path = FOLDER / f"{name}.txt"
    if os.environ.get("RETENTION_GOLDEN") == "accept":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
