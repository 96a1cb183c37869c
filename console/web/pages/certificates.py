"""Certificates: found, verified here and now, and handed on."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import Response

from console.cli.words import CERTIFICATE_STATES, MEDIA_STEPS
from console.web import cursor
from console.web.desk import Desk
from console.web.doors import Doors, Here, Visit
from console.web.problems import NotFound
from retention import envelope as envelopes
from retention.errors import RetentionError, UsageError
from retention.key_history import MAX_BYTES as MAX_HISTORY
from retention.key_history import read_history, retired, trusted
from retention.note import load_keys
from retention.permissions import Act
from retention.signing import MAX_KEY_FILE, key_ring, load_public_keys
from retention.verify import Report, verify
from retention.verify_log import LogEvidence
from storage.ledger.certificates import Certificate
from storage.ledger.lists import PAGE, CertificateLine

doors = Doors()
_ID = re.compile(r"[A-Za-z0-9-]{1,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What lies in the evidence folder about a certificate; what is missing is empty."""

    envelope: str
    files: dict[str, bytes]

    @property
    def page(self) -> bytes | None:
        return self.files.get(self.envelope.replace(".dsse.json", ".pdf"))


@doors.get("/certificates", Act.READ)
def list_(visit: Here, text: str = "", record_type: str = "", before: str = "") -> Response:
    """Certificates, newest first, or those whose id begins as given."""
    desk, wanted = visit.desk, text.strip()
    if wanted and not _ID.fullmatch(wanted):
        lines: list[CertificateLine] = []
    else:
        lines = desk.ledger.lists.certificates(
            record_type=record_type or None, text=wanted, before=cursor.moment(desk, before), limit=PAGE + 1
        )
    shown, more = lines[:PAGE], len(lines) > PAGE
    older = cursor.seal(desk, shown[-1].at.isoformat(), shown[-1].id) if more else ""
    return visit.page(
        "certificates.html", title="Certificates of destruction",
        facts={"certificates": [line_facts(one) for one in shown], "before": older or None}, lines=shown, older=older, text=text,
        record_type=record_type, before=before,
    )  # fmt: skip


@doors.get("/certificates/{id}", Act.READ)
def show(visit: Here, id: str) -> Response:
    """One certificate, verified at this moment."""
    desk, certificate = visit.desk, found(visit, id)
    statement = envelopes.read(certificate.envelope).statement()
    published = _published(desk, certificate)
    report = _verified(desk, certificate, published)
    facts = {
        "certificate": {
            "id": certificate.id, "case": certificate.case_id, "state": certificate.state, "issued_at": certificate.at,
            "attested": certificate.attested, "final_from": certificate.final_from,
        },
        "statement": statement, "verification": None if isinstance(report, str) else report.document(),
    }  # fmt: skip
    return visit.page(
        "certificate_by_hand.html" if certificate.attested else "certificate.html", title=f"Certificate {certificate.id}", facts=facts, certificate=certificate, report=report,
        predicate=statement["predicate"], published=published, states=CERTIFICATE_STATES, steps=MEDIA_STEPS,
    )  # fmt: skip


@doors.get("/certificates/{id}/envelope", Act.READ)
def envelope(visit: Here, id: str) -> Response:
    """The signed envelope as the ledger has it."""
    certificate = found(visit, id)
    return _file(certificate.envelope, f"{certificate.id}.dsse.json", "application/json")


@doors.get("/certificates/{id}/page", Act.READ)
def page(visit: Here, id: str) -> Response:
    """The certificate as a page to sign off and file (PDF)."""
    certificate = found(visit, id)
    printed = _published(visit.desk, certificate).page
    if printed is None:
        raise NotFound
    return _file(printed, f"{certificate.id}.pdf", "application/pdf")


@doors.get("/certificates/{id}/bundle", Act.READ)
def bundle(visit: Here, id: str) -> Response:
    """Everything published about a certificate, to verify it anywhere."""
    certificate = found(visit, id)
    published = _published(visit.desk, certificate)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(published.files.items()):
            entry = zipfile.ZipInfo(f"{certificate.id}/{name}", certificate.at.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return _file(packed.getvalue(), f"{certificate.id}.zip", "application/zip")


def found(visit: Visit, id: str) -> Certificate:
    """Raises `NotFound`."""
    try:
        return visit.desk.ledger.certificates.get(id)
    except UsageError:
        raise NotFound from None


def line_facts(line: CertificateLine) -> dict[str, Any]:
    return {
        "id": line.id, "case": line.case_id, "record_types": line.record_types, "state": line.state, "attested": line.attested,
        "final_from": line.final_from, "issued_at": line.at,
    }  # fmt: skip


def _file(content: bytes, name: str, kind: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=headers)


def _published(desk: Desk, certificate: Certificate) -> Published:
    """The envelope from the ledger; beside it what the evidence folder has."""
    name = f"{certificate.id}.dsse.json"
    files = {name: certificate.envelope}
    beside = (
        f"{certificate.id}.leaves", f"{certificate.id}.pdf", f"{certificate.id}.tlog-proof", f"{certificate.id}.tsr", "retention.pub",
        "retention.keys", "document-signing.crt",
    )  # fmt: skip
    for other in beside:
        content = _read(desk.evidence / other)
        if content is not None:
            files[other] = content
    return Published(envelope=name, files=files)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _verified(desk: Desk, certificate: Certificate, published: Published) -> Report | str:
    """The numbered steps against the published keys and log, or why they cannot be done."""
    public = published.files.get("retention.pub")
    if public is None:
        return "the library's public keys are not in the evidence folder"
    try:
        ring = key_ring(*load_public_keys(public[: MAX_KEY_FILE + 1]))
        notes = tuple(load_keys(public[: MAX_KEY_FILE + 1]))
        old = {}
        history = published.files.get("retention.keys")
        if history is not None:
            eras = read_history(history[: MAX_HISTORY + 1])
            ring, old = trusted(eras, ring), retired(eras)
        log = None
        if desk.log.checkpoint() is not None:
            log = LogEvidence(keys=notes, files=desk.log)
        return verify(
            certificate.envelope,
            keys=ring,
            leaves=published.files.get(f"{certificate.id}.leaves"),
            log=log,
            retired=old,
        )
    except RetentionError as error:
        return error.message
