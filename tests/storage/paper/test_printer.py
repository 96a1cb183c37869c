"""The page: equal for equal input, for everybody to read, and on one sheet however much there is to say."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader

from retention import envelope as envelopes
from retention.errors import VerificationFailed
from storage.paper.printer import UNKNOWN_LETTER, maker, page, render, shown_letters
from storage.sealed.erasures import REVIVED
from tests.retention import certificate_facts as invented
from tests.retention.authenticator import by_passkeys
from tests.storage.paper import press

GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "certificate": lambda: press.ENVELOPE,
    "crowded": press.crowded,
    "final": press.final,
    "superseded": press.superseded,
    "by-hand": press.by_hand,
    "heap": press.heap,
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("printed")
    for name, envelope in CASES.items():
        (folder / f"{name}.pdf").write_bytes(render(envelope()))
    return {name: folder / f"{name}.pdf" for name in CASES}


def accepted(name: str, text: str) -> str:
    """What is on file. ``RETENTION_GOLDEN=accept`` puts the new text there: then read the difference."""
    path = GOLDEN / name
    if os.environ.get("RETENTION_GOLDEN") == "accept":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def test_what_comes_out_changes_only_with_the_version_of_the_page(printed: dict[str, Path]) -> None:
    """A verifier prints pages again and compares: the same version must mean the same bytes, on every machine."""
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in printed.items()}
    text = json.dumps({"maker": maker(), **digests}, indent=2) + "\n"
    assert text == accepted("pages.json", text), "count TEMPLATE up in storage/paper/printer.py, then accept"


def test_another_process_on_another_clock_in_another_language_prints_the_same(
    printed: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "envelope").write_bytes(press.crowded())
    program = "import sys, pathlib; from storage.paper.printer import render; sys.stdout.buffer.write(render(pathlib.Path('envelope').read_bytes()))"
    around = {
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "tr_TR.UTF-8",
        "HOME": str(tmp_path),
        "SOURCE_DATE_EPOCH": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env={**os.environ, **around, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == printed["crowded"].read_bytes()


@pytest.mark.usefixtures("poppler")
@pytest.mark.parametrize("name", CASES)
def test_the_text_of_the_page(printed: dict[str, Path], name: str) -> None:
    text = press.said("pdftotext", "-layout", printed[name], "-")
    text = "\n".join(re.sub(" {2,}", "  ", line.rstrip()) for line in text.split("\n"))
    assert text == accepted(f"{name}.txt", text)
    assert not re.search("unrecoverabl|legal hold|sealed", text, re.IGNORECASE)


@pytest.mark.usefixtures("poppler")
@pytest.mark.parametrize("name", CASES)
def test_everything_to_sign_off_is_on_one_page(printed: dict[str, Path], name: str) -> None:
    first = press.said("pdftotext", "-f", "1", "-l", "1", printed[name], "-")
    for said in ("Certificate of Destruction", "RULE AND AUTHORITY", "STATEMENT", "retention certificate verify", "Reviewed and filed: Library Director"):  # fmt: skip
        assert said in first
    assert "Annex" in press.said("pdftotext", "-f", "2", "-l", "2", printed[name], "-")


@pytest.mark.usefixtures("poppler")
def test_a_superseded_certificate_says_first_that_another_no_longer_holds_and_claims_nothing_itself(
    printed: dict[str, Path],
) -> None:
    text = " ".join(press.said("pdftotext", printed["superseded"], "-").split())
    first = f"Certificate C-2026-0007-p no longer holds: {REVIVED}. Nothing is claimed to be final."
    assert first in text
    assert text.index("SUPERSEDED") < text.index(first) < text.index("It said that on November 20, 2026")
    for claim in ("Provisional", "Nothing is pending", "On November 20, 2026, Three Rivers"):
        assert claim not in text
    assert text.count("Claimed then.") == 3
    assert "no longer holds" not in press.said("pdftotext", printed["final"], "-")


@pytest.mark.usefixtures("poppler")
@pytest.mark.parametrize("name", CASES)
def test_nothing_runs_into_the_margin(printed: dict[str, Path], name: str, tmp_path: Path) -> None:
    press.said("pdftoppm", "-gray", "-r", "50", printed[name], tmp_path / "page")
    pages = sorted(tmp_path.glob("page*.pgm"))
    assert pages
    for path in pages:
        width, height, grey = picture(path)
        margin = round(0.8 * 50)
        for row in range(height):
            line = grey[row * width : (row + 1) * width]
            assert set(line[:margin] + line[-margin:]) <= {255}, f"{path.name}, row {row}"
        assert min(grey) < 80, "something was drawn"


def picture(path: Path) -> tuple[int, int, bytes]:
    head, width, height, depth, grey = re.fullmatch(
        rb"(P5)\s(\d+)\s(\d+)\s(\d+)\s(.*)", path.read_bytes(), re.DOTALL
    ).groups()  # type: ignore[union-attr]
    assert (head, depth) == (b"P5", b"255")
    return int(width), int(height), grey


@pytest.mark.usefixtures("poppler")
def test_it_is_archival_and_accessible(printed: dict[str, Path]) -> None:
    """What the standards ask for and a reader can see; the typesetter refuses to write what breaks them."""
    about = press.said("pdfinfo", printed["crowded"])
    assert re.search(r"^Tagged: +yes$", about, re.MULTILINE)
    assert re.search(r"^Title: +Certificate of destruction C-2026-0007-p$", about, re.MULTILINE)
    assert re.search(r"^JavaScript: +no$", about, re.MULTILINE)
    assert re.search(r"^PDF version: +1\.7$", about, re.MULTILINE)
    assert "612 x 792 pts (letter)" in about
    structure = press.said("pdfinfo", "-struct", printed["crowded"])
    for element in ("Document", "H1", "H2", "P (block)", "Table", "THead", "TH <", "TD", "Figure"):
        assert element in structure
    fonts = press.said("pdffonts", printed["crowded"]).splitlines()[2:]
    assert fonts
    assert all(re.search(r"yes yes yes +\d+ +0$", font) for font in fonts), "embedded, a subset, with Unicode"
    root = PdfFileReader(io.BytesIO(printed["crowded"].read_bytes())).root
    assert root["/Lang"] == "en-US"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"] == True  # noqa: E712  # a PDF boolean
    metadata = root["/Metadata"].data
    for claim in (b"<pdfaid:part>3<", b"<pdfaid:conformance>A<", b"<pdfuaid:part>1<"):
        assert claim in metadata


@pytest.mark.usefixtures("poppler")
def test_the_envelope_is_attached_as_it_is(printed: dict[str, Path], tmp_path: Path) -> None:
    assert "1: C-2026-0007-p.dsse.json" in press.said("pdfdetach", "-list", printed["certificate"])
    press.said("pdfdetach", "-save", "1", "-o", tmp_path / "detached", printed["certificate"])
    assert (tmp_path / "detached").read_bytes() == press.ENVELOPE


def test_letters_that_no_typeface_has_and_letters_that_steer_are_replaced() -> None:
    shown = shown_letters(frozenset("aé Σ Ш ש ع Ấ \u200d – “ " + UNKNOWN_LETTER))
    assert shown == frozenset("aé Σ Ш ש ع Ấ \u200d – “ " + UNKNOWN_LETTER)
    assert shown_letters(frozenset("王😀\ue000\u202e\u2066\x85\u2028")) == frozenset()


@pytest.mark.usefixtures("poppler")
def test_a_name_cannot_turn_the_text_around(tmp_path: Path) -> None:
    envelope = invented.sealed(identity__custodian="Director \u202etnatsissA")
    (tmp_path / "page.pdf").write_bytes(render(envelope))
    assert "Director �tnatsissA" in press.said("pdftotext", tmp_path / "page.pdf", "-")


def test_markup_in_a_text_is_text() -> None:
    """What stands in the schedule is data to the template: no command, no link, no file."""
    harmless = len(render(invented.sealed(authority__title="x" * 60)))
    told = render(invented.sealed(authority__title='#read("/etc/passwd") *b* https://example.org $x$'))
    assert abs(len(told) - harmless) < 20_000
    assert b"/URI" not in told


def test_the_checkpoint_of_the_log_is_told_in_its_own_words() -> None:
    note = "log.example\n1234\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— log.example AbCd\n"
    for checkpoint, told in (
        (
            base64.b64encode(note.encode()).decode(),
            "log.example, 1234 entries, root CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
        ),
        ("?", "?"),
    ):
        shown = page(invented.sealed(evidence__checkpoint=checkpoint))
        assert ["Log before it", told] in cast("list[object]", shown["evidence"])


def test_what_is_no_certificate_is_not_printed() -> None:
    for envelope in (
        b"",
        b"{}",
        press.ENVELOPE[:-2],
        envelopes.sign({"predicateType": "x"}, [invented.LIBRARY]),
    ):
        with pytest.raises(VerificationFailed):
            render(envelope)
    with pytest.raises(VerificationFailed, match="no matter is pending"):
        render(invented.sealed(statement__no_pending_matter=False))
    with pytest.raises(VerificationFailed, match="name of a file"):
        render(invented.sealed(identity__id="../../etc/passwd"))


def test_the_canonical_data_stays_what_it_was() -> None:
    """Printing takes the envelope and gives a page; the envelope is attached byte for byte, never written anew."""
    reader = PdfFileReader(io.BytesIO(press.page()))
    assert bytes(reader.root["/AF"][0]["/EF"]["/F"].data) == press.ENVELOPE


def test_a_passkey_is_called_one_among_the_keys() -> None:
    first, _ = by_passkeys()
    approvals = (first, invented.approved(invented.COUNSEL, "Jo Reyes"))
    text = json.dumps(page(invented.sealed(people__approvals=approvals)), ensure_ascii=False)
    assert "Passkey of Mei Lind" in text
    assert first.keyid in text
    assert "Key of Jo Reyes" in text
