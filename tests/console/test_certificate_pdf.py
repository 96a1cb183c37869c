"""The page for people from the command line: printed once, verified by anybody, silent about patrons."""

from __future__ import annotations

import io
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from storage.paper.document_key import make
from tests.console.golden import same_as_before, transcript
from tests.console.library import NOW, Library

PATRONS = (7_304_416_220_581, 7_304_416_220_599)
"""Long enough to be found wherever they stand."""


@pytest.fixture
def certificate(library: Library) -> str:
    with sqlite3.connect(library.ils) as ils:
        ils.execute("UPDATE loan SET patron = CASE patron WHEN 101 THEN ? ELSE ? END", PATRONS)
    ils.close()
    library.done("run", "--execute", "--record-type", "past-checkouts")
    (found,) = library.done("certificate", "list", "--json").json["certificates"]
    return str(found["id"])


@pytest.fixture
def page(library: Library, certificate: str) -> Path:
    (page,) = library.done("certificate", "pdf", certificate, "--json").json["pages"]
    assert (page["certificate"], page["new"]) == (certificate, True)
    return Path(page["file"])


def test_a_page_is_published_beside_the_envelope_and_printed_once(
    library: Library, certificate: str, page: Path
) -> None:
    assert page == library.state / "evidence" / f"{certificate}.pdf"
    before = page.stat()
    assert "is there already" in library.done("certificate", "pdf", certificate).out
    assert page.stat().st_mtime_ns == before.st_mtime_ns
    other = library.root / "page.pdf"
    library.done("certificate", "pdf", certificate, "-o", other)
    assert other.read_bytes() == page.read_bytes()
    other.write_bytes(b"a letter to the board")
    said = library("certificate", "pdf", certificate, "-o", other)
    assert (said.code, other.read_bytes()) == (5, b"a letter to the board")
    assert library("certificate", "pdf", certificate, "-o", library.root / "no" / "where.pdf").code == 2
    assert library("certificate", "pdf", "C20350615-00000000-1").code == 2


def test_without_a_certificate_every_one_that_has_no_page_is_printed(library: Library, page: Path) -> None:
    assert library.done("certificate", "pdf").out == "0 pages printed\n"
    library.done("run", "--execute", "--record-type", "camera-footage")
    (new,) = library.done("certificate", "pdf", "--json").json["pages"]
    assert Path(new["file"]) != page
    library.done("certificate", "verify", new["file"], page)
    assert library("certificate", "pdf", "-o", library.root / "all.pdf").code == 2


def test_the_transcript_of_a_verification_of_a_page(library: Library, page: Path) -> None:
    said = library.done("certificate", "verify", page)
    same_as_before("verify-pdf", transcript(library, said, "certificate", "verify", str(page)))


def test_the_envelopes_own_steps_count_too(library: Library, page: Path) -> None:
    wrong = library.root / "other.leaves"
    wrong.write_bytes(bytes(32 * 4))
    said = library("certificate", "verify", page, "--leaves", wrong)
    assert said.code == 6
    assert "not verified: step 6" in said.out
    assert "P4. the pages follow from the envelope: not checked: the envelope did not verify" in said.out


def test_keys_and_certificates_are_told_apart(library: Library, page: Path) -> None:
    beside = page.parent
    known = library.done("certificate", "verify", page, "--key", beside / "retention.pub", "--json").json[
        "certificates"
    ][0]
    assert [step["result"] for step in known["pdf"]] == ["passed", "not-checked", "passed", "passed"]
    both = ("--key", beside / "retention.pub", "--key", beside / "document-signing.crt")
    (told,) = library.done("certificate", "verify", page, *both, "--json").json["certificates"]
    assert [step["result"] for step in told["pdf"]] == ["passed"] * 4
    _, another = make("another", at=NOW)
    (library.root / "another.crt").write_bytes(another)
    said = library(
        "certificate",
        "verify",
        page,
        "--key",
        beside / "retention.pub",
        "--key",
        library.root / "another.crt",
    )
    assert said.code == 6
    assert "not verified: step P2" in said.out
    alone = library("certificate", "verify", page, "--key", beside / "document-signing.crt")
    assert (alone.code, "no key given" in alone.err) == (2, True)


def test_what_is_not_the_page_any_more_ends_with_6_and_one_line(library: Library, page: Path) -> None:
    good = page.read_bytes()
    key = page.parent / "retention.pub"
    for name, content in {
        "longer": good + b"\n",
        "shorter": good[:-1],
        "empty": b"",
        "other": b"GIF89a",
    }.items():
        file = library.root / f"{name}.pdf"
        file.write_bytes(content)
        said = library("certificate", "verify", file, "--key", key)
        assert (said.code, said.err) == (6, ""), name
        assert said.out.splitlines()[-1].startswith("not verified: step P1"), name
    unnamed = library.root / "unnamed"
    unnamed.write_bytes(good[:-1])
    assert "P1" in library("certificate", "verify", unnamed, "--key", key).out, "known by its first bytes"
    (document,) = library("certificate", "verify", unnamed, "--key", key, "--json").json["certificates"]
    assert (document["ok"], document["complete"], document["certificate"], document["steps"]) == (
        False,
        False,
        None,
        [],
    )
    assert library("certificate", "verify", library.root / "nothing.pdf", "--key", key).code == 2


def test_pages_and_envelopes_together_end_with_the_gravest(
    library: Library, certificate: str, page: Path
) -> None:
    envelope = page.with_name(f"{certificate}.dsse.json")
    assert library("certificate", "verify", page, envelope).code == 0
    bad = page.with_name("bad.pdf")
    bad.write_bytes(page.read_bytes()[:-1])
    said = library("certificate", "verify", page, bad, envelope, "--json")
    assert said.code == 6
    assert [one["ok"] for one in said.json["certificates"]] == [True, False, True]


def test_an_export_takes_the_page_along(
    library: Library, certificate: str, page: Path, tmp_path: Path
) -> None:
    library.done("certificate", "export", certificate, "--to", tmp_path / "auditor")
    exported = tmp_path / "auditor" / page.name
    assert exported.read_bytes() == page.read_bytes()
    (told,) = library.done("certificate", "verify", exported, "--json").json["certificates"]
    assert [step["result"] for step in told["pdf"]] == ["passed"] * 4


def test_without_pyhanko_it_says_what_is_missing_and_what_to_do(library: Library, page: Path) -> None:
    program = "import sys; sys.modules['pyhanko'] = None; from console.cli.main import main; sys.exit(main(sys.argv[1:]))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program, "certificate", "verify", str(page)],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-2:] == [
        "error: checking a PDF needs pyhanko, which is not installed here",
        "hint: take the envelope out (pdfdetach -saveall FILE) and verify that: it needs less",
    ]


@pytest.mark.usefixtures("poppler")
def test_no_patron_stands_in_it(library: Library, page: Path) -> None:
    """Neither in the text nor in any stream, unpacked."""
    text = subprocess.run(["pdftotext", str(page), "-"], capture_output=True, check=True).stdout
    reader = PdfFileReader(io.BytesIO(page.read_bytes()), strict=False)  # unused numbers are no error
    parts = [text, page.read_bytes()]
    for number in range(1, int(reader.trailer["/Size"])):
        found = reader.get_object(generic.Reference(number, 0, reader))
        if isinstance(found, generic.StreamObject):
            parts.append(bytes(found.data))
    assert len(parts) > 10
    assert b"Past checkouts" in text
    for patron in PATRONS:
        assert not [part for part in parts if str(patron).encode() in part]


def test_the_key_of_documents_is_private_and_its_certificate_names_the_library(
    library: Library, page: Path
) -> None:
    assert (library.state / "document-signing.pem").stat().st_mode & 0o777 == 0o600
    published = page.parent / "document-signing.crt"
    assert published.read_bytes() == (library.state / "document-signing.crt").read_bytes()
    (signature,) = PdfFileReader(io.BytesIO(page.read_bytes())).embedded_signatures
    assert signature.signer_cert.subject.native == {"common_name": "Test Library"}
    (library.state / "document-signing.pem").unlink()
    said = library("certificate", "pdf", page.stem, "-o", library.root / "page.pdf")
    assert (said.code, "document-signing.pem is missing" in said.err) == (7, True)
