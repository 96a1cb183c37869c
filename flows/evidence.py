"""What a site does with its evidence beyond making it: hold the log against the ledger, and gather what is handed over."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from flows.wiring import Site
from retention.case_lives import Begun
from retention.checkpoint import Opened, open_checkpoint
from retention.envelope import read as read_envelope
from retention.errors import Unavailable, UsageError, VerificationFailed
from retention.logged import Events, entry_of
from retention.opening import Opening
from retention.signing import key_ring
from retention.tiles import Hashes, Tile, entry_hash
from retention.verify_folder import Whole, verify_folder
from retention.verify_log import find, proof_of
from storage.ledger.cases import CaseState
from storage.ledger.certificates import Certificate
from storage.ledger.log_entries import EntryKind
from storage.opening import open_record


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChecked:
    """The site's log, in order. ``events``: length of the ledger's chain; ``anchored``: days of it that stand in the log."""

    whole: Whole
    events: int
    anchored: int


def verify_log(site: Site, older: list[bytes]) -> LogChecked:
    """Every file of the site's log, held against the ledger: its rows, its certificates, its chain of events.

    Raises `VerificationFailed` with the first thing that is wrong.
    """
    rows = site.ledger.log.entries()
    anchored = 0

    def each(position: int, entry: bytes) -> None:
        nonlocal anchored
        row = next(rows, None)
        if row is None or row.position != position or entry_of(row.envelope) != entry:
            raise VerificationFailed(f"entry {position} of the log is not the one the ledger has")
        if row.kind is EntryKind.EVENTS:
            said = Events.read(read_envelope(row.envelope).statement())
            if site.ledger.log.event_hash(said.seq) != said.head:
                raise VerificationFailed(
                    f"event {said.seq} of the ledger is not the one entry {position} of the log anchors",
                    "compare the ledger with its backup",
                )
            anchored += 1
        if (
            row.kind is EntryKind.CERTIFICATE
            and site.ledger.certificates.get(row.subject).envelope != row.envelope
        ):
            raise VerificationFailed(
                f"certificate {row.subject} is not the one that was entered into the log"
            )

    ring = key_ring(*(key for era in site.signing_keys.history() for key in era.keys))
    whole = verify_folder(
        site.log.files, logs=[site.log.key], ring=ring, witnesses=[one.key for one in site.witnesses], older=older, each=each
    )  # fmt: skip
    if next(rows, None) is not None:
        raise VerificationFailed(
            "the ledger has entries that are not in the log's files",
            "the next run appends them; or: retention log verify --repair",
        )
    for begun in whole.begun:
        _require_under_way(site, begun)
    return LogChecked(whole=whole, events=site.ledger.connection.verify_chain(), anchored=anchored)


def _require_under_way(site: Site, begun: Begun) -> None:
    """A case that began and has not ended in the log has not ended in the ledger either. One that was sent back has: the next
    run says so in the log."""
    try:
        state = site.ledger.cases.get(begun.case).state
    except UsageError:
        state = None
    if state not in (CaseState.STARTED, CaseState.RETURNED):
        raise VerificationFailed(
            f"case {begun.case} began (entry {begun.position}) and the ledger has no end of it that stands in the log",
            "compare the ledger with its backup",
        )


def place_of(site: Site, certificate: Certificate) -> tuple[Opened, int]:
    """The log's checkpoint and the place of a certificate in it."""
    opened = site.log.opened()
    if opened is None:
        raise VerificationFailed(
            "nothing has been published in the log yet", "run: retention log verify --repair"
        )
    return opened, find(site.log.files, opened.root, entry_hash(entry_of(certificate.envelope)))


def open_one(site: Site, certificate: Certificate, record: str) -> Opening:
    """The proof of one record's outcome, see `storage.opening`. Raises `UsageError` for media destroyed by hand: nothing is hidden there."""
    if certificate.attested:
        raise UsageError(
            f"certificate {certificate.id} is of media destroyed by hand and has no records to open",
            f"the media stand in it: retention certificate show {certificate.id}",
        )
    predicate = read_envelope(certificate.envelope).statement()["predicate"]
    assert isinstance(predicate, dict)
    how = predicate.get("how")
    destroyed = how.get("keysDestroyed", []) if isinstance(how, dict) else []
    kids = (
        [None, *(kid for kid in destroyed if isinstance(kid, str))] if isinstance(destroyed, list) else [None]
    )
    leaves = site.certifier.path(certificate).with_name(f"{certificate.id}.leaves")
    return open_record(site.ledger, site.spool, certificate, leaves, record, kids=kids)


def bundle(site: Site, certificate: Certificate) -> dict[str, bytes]:
    """The files to hand over for one certificate, by name: what `retention certificate verify FOLDER` needs for every step.

    Of the log it holds the checkpoint and the tiles that the proofs need, not the other certificates.
    """
    id = certificate.id
    opened, index = place_of(site, certificate)
    pair = site.log.files.stamp_after(index)
    stamped = None if pair is None else open_checkpoint(pair[0], [site.log.key])
    # The published one may be cosigned; the one that was stamped is kept with the log's signature alone.
    shown = opened if stamped is None or stamped.root == opened.root else stamped
    kept: dict[str, bytes] = {}

    def hashes(tile: Tile) -> bytes:
        kept[f"log/{tile.path}"] = data = site.log.files.hashes(tile)
        return data

    tiles = Hashes(hashes, shown.root.size)
    tiles.root()
    tiles.leaf(index)
    proof = proof_of(site.log.files, shown, index)
    tiles.inclusion(index)
    predicate = read_envelope(certificate.envelope).statement()["predicate"]
    assert isinstance(predicate, dict)
    embedded = predicate["evidence"]
    assert isinstance(embedded, dict)
    if isinstance(embedded["checkpoint"], str):
        before = open_checkpoint(base64.b64decode(embedded["checkpoint"]), [site.log.key])
        tiles.consistency(before.root.size)
    files = {
        f"{id}.dsse.json": certificate.envelope,
        f"{id}.tlog-proof": proof.encode(),
        "log/checkpoint": shown.note.encode(),
        **kept,
    }
    if not certificate.attested:
        files[f"{id}.leaves"] = _read(site.certifier.path(certificate).with_name(f"{id}.leaves"))
    for name in ("retention.pub", "retention.keys"):
        files[name] = _read(site.settings.evidence / name)
    for era in site.signing_keys.history():
        for key in era.keys:
            files[f"keys/{key.keyid.replace(':', '-')[:24]}.pem"] = key.pem
    if pair is not None:
        files[f"{id}.tsr"] = pair[1]
    return files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(
            f"{path}: {error.strerror}", "restore the evidence folder from its backup"
        ) from None
