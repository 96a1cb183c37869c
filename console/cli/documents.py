"""Files a person hands in: a document served, of which only the digest is kept, and lists of patron ids."""

from __future__ import annotations

import hashlib
from pathlib import Path

from console.cli.session import Session
from retention.errors import UsageError


def content_of(path: Path) -> bytes:
    """The document's bytes. Raises `UsageError` for a missing or an empty one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "give the document as it was received") from None
    if not content.strip():
        raise UsageError(f"{path} is empty", "give the document as it was received")
    return content


def digest_of(path: Path) -> str:
    """SHA-256 (hex) of a document."""
    return hashlib.sha256(content_of(path)).hexdigest()


def read_subjects(session: Session, path: Path) -> list[str]:
    """Patron ids, one per line, from a file or (``-``) standard input. Raises `UsageError` without quoting any."""
    try:
        content = session.stdin.read() if str(path) == "-" else path.read_bytes()
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "one patron id per line") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text", "one patron id per line") from None
    subjects = [line for line in lines if line]
    if not subjects:
        raise UsageError(
            f"{'standard input' if str(path) == '-' else path} names nobody", "one patron id per line"
        )
    return subjects
