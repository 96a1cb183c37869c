"""``certificate pdf``: the page for people, made from the envelope in the ledger and signed. Never written over another file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from console.cli.answer import Answer, good
from console.cli.certificate import CertificateId
from console.cli.options import Here, Json
from console.cli.site import opened
from flows.wiring import Site
from retention.errors import Refused, UsageError
from storage.ledger.certificates import Certificate
from storage.paper.signature import printed
from storage.paper.time_stamp import HttpTimeStamper


def pdf(
    certificate: CertificateId,
    /,
    *,
    output: Annotated[
        Path | None,
        Parameter(
            name=("--output", "-o"), help="The file; by default beside the envelope, in the evidence folder."
        ),
    ] = None,
    json: Json = False,
    session: Here,
) -> Answer:
    """A page that is there already stays: with a time stamp no two are equal, and one is enough."""
    with opened(session) as site:
        found = site.ledger.certificates.get(certificate)
        path = output or site.certifier.page_path(found)
        if path.exists() and output is None:
            done = f"{path} is there already"
        else:
            page = _page(site, found)
            if output is None:
                site.certifier.publish_page(found, page)
            else:
                _write(output, page)
            done = f"printed {found.id} as {path}"
    body = {"certificate": found.id, "file": path}
    check = f"to verify it: retention certificate verify {path}"
    return Answer(command="certificate.pdf", body=body, lines=[good(done), check])


def _page(site: Site, found: Certificate) -> bytes:
    url = site.settings.tsa_url
    return printed(
        found.envelope,
        certificate=site.document_key.certificate,
        signer=site.document_key.sign,
        time_stamper=None if url is None else HttpTimeStamper(url),
    )


def _write(path: Path, content: bytes) -> None:
    try:
        if path.exists() and path.read_bytes() != content:
            raise Refused(f"{path} is there already, and is another one", "name another file with -o")
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "name a file you may write") from None
