"""``certificate list``, ``show`` and ``export``. What a certificate says is read from its signed envelope, nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter
from cyclopts.validators import Number

from console.cli import words
from console.cli.answer import Answer, Line, Table, day, good, heading, moment
from console.cli.media_lines import certificate_lines
from console.cli.options import Here, Json
from console.cli.site import opened
from flows.wiring import Site
from retention import envelope
from retention.errors import Refused, UsageError, VerificationFailed
from retention.media import facts_of
from storage.ledger.certificates import Certificate

CertificateId = Annotated[str, Parameter(help="Id of a certificate, or of its case (the latest one).")]


def list_(
    *,
    limit: Annotated[int, Parameter(help="At most that many.", validator=Number(gte=1, lte=100_000))] = 50,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        certificates = site.ledger.certificates.list(limit=limit)
        body = {"certificates": [_facts(site, one) for one in certificates]}
    rows = [(one.id, _state(one), moment(one.at), day(one.final_from)) for one in certificates]
    heads = ("certificate", "state", "issued", "final from")
    lines: list[Line] = [Table(heads=heads, rows=rows, whole=frozenset({0, 1, 2, 3}))] if rows else []
    return Answer(
        command="certificate.list", body=body, lines=[*lines, words.plural(len(rows), "certificate")]
    )


def show(certificate: CertificateId, /, *, json: Json = False, session: Here) -> Answer:
    with opened(session) as site:
        found = site.ledger.certificates.get(certificate)
        path = site.certifier.path(found)
        statement = envelope.read(found.envelope).statement()
        body = {"certificate": _facts(site, found), "statement": statement}
    check = f"to verify it anywhere: retention certificate verify {path}"
    lines = certificate_lines(facts_of(statement, [])[0]) if found.attested else _lines(found)
    return Answer(command="certificate.show", body=body, lines=[*lines, f"  file: {path}", check])


def export(
    certificate: CertificateId,
    /,
    *,
    to: Annotated[Path, Parameter(help="The folder; made when it is not there.")],
    json: Json = False,
    session: Here,
) -> Answer:
    """Copies the envelope as the ledger has it, and the page where one was printed; never over another file."""
    with opened(session) as site:
        found = site.ledger.certificates.get(certificate)
        source = site.certifier.path(found)
        files = {
            source.name: found.envelope,
            **_leaves(found, source.with_name(f"{found.id}.leaves")),
            **{name: _read(source.with_name(name)) for name in ("retention.pub", "retention.keys")},
        }
        page = site.certifier.page_path(found)
        if page.exists():
            files |= {one.name: _read(one) for one in (page, page.with_name("document-signing.crt"))}
    write_files(to, files)
    body = {"certificate": found.id, "folder": to, "files": sorted(files)}
    lines: list[Line] = [good(f"exported {found.id} to {to}"), *(f"  {name}" for name in sorted(files))]
    note = "a public key from the same folder proves little: give the verifier the key in another way too"
    return Answer(command="certificate.export", body=body, lines=lines, notes=[note])


def _leaves(found: Certificate, path: Path) -> dict[str, bytes]:
    """The leaves file, where there is one, as it was made."""
    if found.leaves_digest is None:
        return {}
    leaves = _read(path)
    if hashlib.sha256(leaves).hexdigest() != found.leaves_digest:
        raise VerificationFailed(
            f"the leaves file of {found.id} is not the one that was made",
            "restore the evidence folder from its backup",
        )
    return {path.name: leaves}


def _state(one: Certificate) -> str:
    return f"{one.state}, attested" if one.attested else one.state


def _facts(site: Site, one: Certificate) -> dict[str, Any]:
    return {
        "id": one.id, "case": one.case_id, "state": one.state, "issued_at": one.at, "final_from": one.final_from,
        "path": site.certifier.path(one), "leaves_sha256": one.leaves_digest, "attested": one.attested,
    }  # fmt: skip


def _lines(found: Certificate) -> list[Line]:
    predicate = cast("dict[str, Any]", envelope.read(found.envelope).statement()["predicate"])
    authority, what, summary = predicate["authority"], predicate["what"], predicate["summary"]
    lines: list[Line] = [heading(f"certificate {found.id}: {words.CERTIFICATE_STATES[found.state]}")]
    lines.append(f"  {predicate['identity']['organization']}, issued {moment(found.at)}")
    lines.append(
        f"  {authority['title']} ({authority['recordType']}), as of {authority['on']}, case {found.case_id}"
    )
    lines += [
        f"  rule {rule['id']}: {rule['citation']}, at least {rule['minimum']}" for rule in authority["rules"]
    ]
    if what["earliest"]:
        lines.append(f"  inclusive dates: {what['earliest']} to {what['latest']}")
    rows = [
        (place["location"], place["store"], *(f"{place[name]:,}" for name in ("destroyed", "alreadyAbsent", "withheld")),
         f"{place['notDestroyed'] + place['unknown']:,}")
        for place in what["locations"]
    ]  # fmt: skip
    heads = ("location", "store", "destroyed", "absent before", "withheld", "failed or unknown")
    lines.append(Table(heads=heads, rows=rows, right=frozenset({2, 3, 4, 5})))
    lines.append(f"  method claimed: {summary['method']}; result: {summary['result']}")
    lines += [
        f"  approved by {given['person']}, {given['title']}" for given in predicate["people"]["approvals"]
    ]
    if standing := predicate["people"].get("standing"):
        first, second = standing["proposed"], standing["agreed"]
        lines.append(
            f"  under the standing approval {standing['id']} until {standing['until']}: proposed by {first['person']}, {first['title']} "
            f"({first['statement']['at'][:10]}), agreed to by {second['person']}, {second['title']} ({second['statement']['at'][:10]})"
        )
    lines += [f"  {sentence}" for sentence in predicate["sentences"]]
    return [*lines, *(f"  copies elsewhere: {one}" for one in predicate["residual"]["thirdParties"])]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "restore the evidence folder from its backup") from None


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files below a folder, by their names; never over another file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / name
            if path.exists() and path.read_bytes() != content:
                raise Refused(f"{path} is there already, and is another one", "write to an empty folder")
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}", "name a folder you may write to") from None
