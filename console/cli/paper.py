"""``certificate pdf``: the page for people, made from the envelope in the ledger and signed. Never written over another file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, good
from console.cli.options import Here, Json
from console.cli.site import opened
from flows.wiring import Site
from retention.errors import Refused, UsageError
from storage.ledger.certificates import Certificate
from storage.paper.signature import printed
from storage.paper.time_stamp import HttpTimeStamper

MOST = 100_000


def pdf(
    certificate: Annotated[
        str | None,
        Parameter(
            help="Id of a certificate, or of its case (the latest one); by default every one that has no page yet."
        ),
    ] = None,
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
    if certificate is None and output is not None:
        raise UsageError("one file holds one certificate", "name the certificate to print")
    with opened(session) as site:
        if certificate is None:
            wanted = [
                one
                for one in site.ledger.certificates.list(limit=MOST)
                if not site.certifier.page_path(one).exists()
            ]
        else:
            wanted = [site.ledger.certificates.get(certificate)]
        pages = [_page(site, one, output) for one in wanted]
    lines: list[Line] = [
        good(f"printed {page['certificate']}: {page['file']}")
        if page["new"]
        else f"{page['file']} is there already"
        for page in pages
    ]
    if certificate is None:
        lines.append(f"{words.plural(len(pages), 'page')} printed")
    return Answer(command="certificate.pdf", body={"pages": pages}, lines=lines)


def _page(site: Site, found: Certificate, output: Path | None) -> dict[str, Any]:
    path = output or site.certifier.page_path(found)
    is_new = output is not None or not path.exists()
    if output is not None:
        _write(output, _printed(site, found))
    elif is_new:
        site.certifier.publish_page(found, _printed(site, found))
    return {"certificate": found.id, "file": path, "new": is_new}


def _printed(site: Site, found: Certificate) -> bytes:
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
