"""Prints a certificate: its envelope in, a PDF out, which is PDF/A-3a and PDF/UA-1 and has the envelope attached.

Equal envelopes give equal bytes with the same version of the template and the typesetter: no clock, no network, no font or
file of the machine goes in. So anybody can print the page again and compare. Not signed here: see `storage.paper.signature`.
"""

from __future__ import annotations

import io
import json
from importlib.metadata import version
from importlib.resources import files
from unicodedata import category

import segno
import typst

from retention.document import JSON, texts
from retention.errors import VerificationFailed
from retention.media import Attested
from storage.paper import by_hand, content
from storage.paper.parsed import parse

TEMPLATE = 2
"""Counted up with every change of what comes out, so that a page of another version is not taken for a changed one."""
STANDARDS: list[typst.PDFStandard] = ["a-3a", "ua-1"]
UNKNOWN_LETTER = "�"
STEERING = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
JOINERS = "\u200c\u200d"
"""Persian and the scripts of India need them."""


def maker() -> str:
    """What makes the page: stands among the keywords of the PDF."""
    return f"page {TEMPLATE}, typst {version('typst')}"


def render(envelope: bytes) -> bytes:
    """The PDF of a certificate, without a signature. Raises `VerificationFailed` when the envelope holds none."""
    shown = page(envelope)
    known = shown_letters(frozenset(letter for text in texts(shown) for letter in text))
    inputs = {
        "page": _replaced(json.dumps(shown, ensure_ascii=False), known),
        "code": _code(str(shown["code"])),
        "envelope": envelope.decode("utf-8"),
        "maker": maker(),
    }
    try:
        return _compile((files(__package__) / "certificate.typ").read_bytes(), inputs)
    except typst.TypstError as error:
        raise VerificationFailed(
            "this certificate cannot be put on paper", f"the typesetter says: {error.message}"
        ) from None


def page(envelope: bytes) -> dict[str, JSON]:
    """What stands on the page. Raises `VerificationFailed` when the envelope holds no certificate."""
    parsed = parse(envelope)
    if isinstance(parsed.facts, Attested):
        return by_hand.page(parsed.facts, parsed)
    return content.page(parsed.facts, parsed)


def shown_letters(letters: frozenset[str]) -> frozenset[str]:
    """Those of the letters that the built-in typefaces have. The rest is shown as U+FFFD: the attachment has it as it is.

    Never those that steer instead of showing (direction, controls): with them a name could read as another one.
    """
    steering = frozenset(
        letter for letter in letters if category(letter) in STEERING and letter not in JOINERS
    )
    unsure = sorted(letter for letter in letters - steering if ord(letter) > 0x7E)
    return letters - steering - frozenset(_missing(unsure))


def _missing(unsure: list[str]) -> list[str]:
    """By halves: PDF/A refuses a text with a letter that no typeface has, and does not say which in a way to rely on."""
    if not unsure or _displays("".join(f"a{letter} " for letter in unsure)):
        return []
    if len(unsure) == 1:
        return unsure
    half = len(unsure) // 2
    return [*_missing(unsure[:half]), *_missing(unsure[half:])]


def _displays(text: str) -> bool:
    try:
        _compile(_PROBE, {"text": text})
    except typst.TypstError:
        return False
    return True


_PROBE = b"""#set document(title: "t", date: datetime(year: 2000, month: 1, day: 1))
#set text(font: ("Libertinus Serif", "DejaVu Sans Mono"), lang: "en")
#sys.inputs.text"""


def _replaced(text: str, known: frozenset[str]) -> str:
    return "".join(letter if letter in known or ord(letter) < 0x7F else UNKNOWN_LETTER for letter in text)


def _code(text: str) -> str:
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(drawn, kind="svg", border=0, xmldecl=False)
    return drawn.getvalue().decode("utf-8")


def _compile(source: bytes, inputs: dict[str, str]) -> bytes:
    made = typst.compile(source, sys_inputs=inputs, ignore_system_fonts=True, pdf_standards=STANDARDS)
    assert isinstance(made, bytes)
    return made
