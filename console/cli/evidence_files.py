"""What lies beside a certificate, and the keys it is checked with: found by name, read within bounds. No ledger, and no settings
but for a log in a bucket that somebody names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from console.cli.registry import later
from console.cli.verify_pdf import SUFFIX as PDF
from retention.errors import UsageError
from retention.key_history import MAX_BYTES as MAX_HISTORY
from retention.key_history import read_history, retired, trusted
from retention.log_files import CHECKPOINT, LogFiles, LogFolder
from retention.note import ED25519, NoteKey, load_keys
from retention.note import MAX_BYTES as MAX_NOTE
from retention.signing import MAX_KEY_FILE, PublicKey, key_ring, load_public_keys
from storage.paper.document_key import BEGIN as BEGIN_CERTIFICATE
from storage.paper.document_key import load_certificate

ENVELOPE, OPENED, LEAVES, PROOF, STAMP = ".dsse.json", ".opened.json", ".leaves", ".tlog-proof", ".tsr"
PUBLIC, HISTORY, LOG, CERTIFICATE = "retention.pub", "retention.keys", "log", "document-signing.crt"


@dataclass(frozen=True, kw_only=True)
class Keys:
    """``ring``: keys of certificates; ``logs`` and ``witnesses``: keys of the log; ``retired``: until when a key signed.

    ``certificates``: X.509 (DER) of keys that sign PDFs. ``came_along``: the file beside the certificate they came from, when nobody gave others.
    """

    ring: dict[str, PublicKey]
    logs: tuple[NoteKey, ...] = ()
    witnesses: tuple[NoteKey, ...] = ()
    retired: dict[str, datetime] = field(default_factory=dict)
    certificates: tuple[bytes, ...] = ()
    came_along: Path | None = None


def keys_for(folder: Path, given: Sequence[Path] | None) -> Keys:
    """The keys given, or those in the folder; and all of the library's history when it vouches for one of them."""
    beside = folder / PUBLIC
    of_pdfs = folder / CERTIFICATE
    named = given or [beside, *([of_pdfs] if of_pdfs.is_file() else [])]
    read = [head(path, MAX_KEY_FILE, "name the library's public key with --key") for path in named]
    texts = [text for text in read if not text.lstrip().startswith(BEGIN_CERTIFICATE)]
    ring = key_ring(*(key for text in texts for key in load_public_keys(text)))
    notes = [key for text in texts for key in load_keys(text)]
    old: dict[str, datetime] = {}
    if (folder / HISTORY).is_file():
        eras = read_history(head(folder / HISTORY, MAX_HISTORY))
        ring, old = trusted(eras, ring), retired(eras)
    return Keys(
        ring=ring, retired=old, came_along=None if given else beside,
        certificates=tuple(load_certificate(text) for text in read if text not in texts),
        logs=tuple(key for key in notes if key.kind == ED25519), witnesses=tuple(key for key in notes if key.kind != ED25519),
    )  # fmt: skip


def ring_of(paths: Sequence[Path]) -> dict[str, PublicKey]:
    return key_ring(
        *(
            key
            for path in paths
            for key in load_public_keys(head(path, MAX_KEY_FILE, "name a file with a public key"))
        )
    )


def keys_beside(place: str, given: Sequence[Path] | None) -> Keys:
    """The keys given, or those beside the folder of a log. Raises `UsageError` for one in a bucket, which has none beside it."""
    if not _in_bucket(place):
        return keys_for(Path(place).parent, given)
    if not given:
        raise UsageError(
            "a log in a bucket has no keys beside it", "name the library's public keys with --key"
        )
    return keys_for(given[0].parent, given)


def certificates(paths: Sequence[Path]) -> list[Path]:
    """The certificates named, and those in the folders named. Raises `UsageError` when there is nothing to verify."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                one for suffix in (ENVELOPE, OPENED, PDF) for one in path.glob(f"*{suffix}") if one.is_file()
            )
            if not inside:
                raise UsageError(
                    f"{path}: there is no certificate in this folder", f"their names end in {ENVELOPE}"
                )
            found += inside
        else:
            found.append(path)
    if not found:
        raise UsageError("there is nothing to verify", "name certificates or their folder")
    return found


def beside(file: Path, suffix: str) -> Path | None:
    """The file of the same name that ends otherwise, if there is one."""
    for own in (ENVELOPE, OPENED, PDF):
        if file.name.endswith(own):
            other = file.with_name(file.name.removesuffix(own) + suffix)
            return other if other.is_file() else None
    return None


def log_beside(folder: Path) -> LogFiles | None:
    return LogFolder(folder / LOG) if (folder / LOG / CHECKPOINT).is_file() else None


@contextmanager
def log_named(place: str) -> Iterator[LogFiles]:
    """The log in a folder, or in a bucket: ``s3://BUCKET/PREFIX``. Raises `UsageError` where there is no such folder, `SettingsError` where
    no setting says how the bucket is reached."""
    if _in_bucket(place):
        with closing(later("flows.buckets:log_at")(place)) as found:
            yield found
        return
    if not Path(place).is_dir():
        raise UsageError(f"{place}: no such folder", "name the folder that holds the log's checkpoint")
    yield LogFolder(Path(place))


def _in_bucket(place: str) -> bool:
    return place.startswith("s3://")


def note(path: Path) -> bytes:
    """A checkpoint, a proof or a time stamp."""
    return head(path, MAX_NOTE)


def head(path: Path, limit: int, hint: str = "name a file that is there") -> bytes:
    """At most one byte more than a reader takes, so that an endless file ends here."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint) from None
