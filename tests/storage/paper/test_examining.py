"""Examining a PDF that came back: every change is found and named by its step, and hostile bytes cost little."""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields

from retention.errors import Unavailable
from retention.verify import Result
from storage.paper import signature
from storage.paper.document_key import ORDER
from storage.paper.examining import Examined, Examiner
from storage.paper.printer import render
from storage.paper.reading import MAX_PDF, SECONDS
from storage.paper.signature import printed
from tests.retention import certificate_facts as invented
from tests.storage.paper import press

PATIENCE = 12 * SECONDS
"""Seconds of the clock; the limit is in seconds of the processor, of which others may want their share."""
PAGE = press.page()
START, END = PAGE.index(b"/Contents <3082") + len("/Contents "), PAGE.rindex(b"0>\n/ByteRange") + 2


@pytest.fixture(scope="module")
def examiner() -> Iterator[Examiner]:
    examiner = Examiner()
    yield examiner
    examiner.close()


def examine(examiner: Examiner, pdf: bytes, certificate: bytes = press.KEY.certificate) -> Examined:
    return examiner.examine(
        pdf, certificates=[certificate] if certificate else [], envelope_verified=lambda _: True
    )


def results(examined: Examined) -> dict[str, str]:
    return {step.id: step.result.value for step in examined.steps}


def failed(examined: Examined) -> list[str]:
    return [step.id for step in examined.steps if step.result is Result.FAILED]


@pytest.mark.parametrize("page", [PAGE, press.page(press.by_hand())], ids=["read back", "by hand"])
def test_a_page_as_it_was_printed_passes_every_step(examiner: Examiner, page: bytes) -> None:
    examined = examine(examiner, page)
    assert results(examined) == dict.fromkeys(("P1", "P2", "P3", "P4"), "passed")
    assert (examined.ok, examined.verdict) == (True, "")


@given(offset=st.integers(0, len(PAGE) - 1), bit=st.integers(0, 7))
def test_every_changed_bit_is_found(examiner: Examiner, offset: int, bit: int) -> None:
    changed = bytearray(PAGE)
    changed[offset] ^= 1 << bit
    assert failed(examine(examiner, bytes(changed))) in (["P1"], ["P2"])


@settings(max_examples=60)
@given(offset=st.integers(START, START + 2 * 900), bit=st.integers(0, 7))
def test_every_changed_bit_of_the_signature_itself_is_found(
    examiner: Examiner, offset: int, bit: int
) -> None:
    changed = bytearray(PAGE)
    changed[offset] ^= 1 << bit
    assert failed(examine(examiner, bytes(changed))) in (["P1"], ["P2"])


@settings(max_examples=60)
@given(at=st.integers(0, len(PAGE) - 1))
def test_a_page_cut_short_is_found(examiner: Examiner, at: int) -> None:
    assert failed(examine(examiner, PAGE[:at])) == ["P1"]


@pytest.mark.parametrize("more", [b"\n", b"\x00", b"%", b"%%EOF\n", PAGE])
def test_appended_bytes_are_found(examiner: Examiner, more: bytes) -> None:
    assert failed(examine(examiner, PAGE + more)) == ["P1"]
    assert failed(examine(examiner, more + PAGE)) == ["P1"]


def test_a_later_revision_is_found(examiner: Examiner) -> None:
    writer = IncrementalPdfFileWriter(io.BytesIO(PAGE))
    writer.root["/Lang"] = generic.TextStringObject("de")
    writer.update_root()
    out = io.BytesIO()
    writer.write(out)
    assert out.getvalue().startswith(PAGE)
    assert failed(examine(examiner, out.getvalue())) == ["P1"]


def test_a_page_without_a_signature_is_found(examiner: Examiner) -> None:
    assert failed(examine(examiner, render(press.ENVELOPE))) == ["P1"]


def test_the_other_form_of_the_same_signature_is_found(examiner: Examiner) -> None:
    """ECDSA has two valid signatures for each; only one is taken, so that nobody else can make a second file."""

    def other(message: bytes) -> bytes:
        r, s = decode_dss_signature(press.KEY.sign(message))
        return encode_dss_signature(r, ORDER - s)

    twin = printed(press.ENVELOPE, certificate=press.KEY.certificate, signer=other)
    assert failed(examine(examiner, twin)) == ["P1"]


def test_another_certificate_is_found(examiner: Examiner) -> None:
    another = press.document_key("another")
    assert failed(examine(examiner, press.page(key=another))) == ["P2"]
    assert failed(examine(examiner, PAGE, another.certificate)) == ["P2"]


def test_without_a_certificate_the_pages_themselves_must_follow_from_the_envelope(examiner: Examiner) -> None:
    examined = examine(examiner, PAGE, b"")
    assert results(examined) == {"P1": "passed", "P2": "not-checked", "P3": "passed", "P4": "passed"}
    assert (examined.ok, examined.verdict) == (True, "P2")


def test_the_key_alone_will_do(examiner: Examiner) -> None:
    public = x509.load_der_x509_certificate(press.KEY.certificate).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    for keyid, result in (
        (f"p256:{sha256(point).hexdigest()}", "passed"),
        (f"p256:{'0' * 64}", "not-checked"),
    ):
        examined = examiner.examine(PAGE, certificates=[], keyids=[keyid], envelope_verified=lambda _: True)
        assert results(examined)["P2"] == result


def test_an_envelope_that_does_not_verify_is_never_printed(
    examiner: Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signature, "render", lambda _: pytest.fail("printed"))
    examined = examiner.examine(PAGE, certificates=[], envelope_verified=lambda _: False)
    assert results(examined) == {"P1": "passed", "P2": "not-checked", "P3": "passed", "P4": "not-checked"}
    assert not examined.ok
    assert "nobody known vouches" in examined.verdict


def signed(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes], envelope: bytes = press.ENVELOPE
) -> bytes:
    """A page that the library's own key signed after it was changed."""
    with monkeypatch.context() as patch:
        patch.setattr(signature, "render", lambda envelope: change(render(envelope)))
        return press.page(envelope)


@pytest.mark.parametrize(
    ("better", "attached"),
    [
        (invented.sealed(what__locations=(invented.place(withheld=0, destroyed=5, seen_absent=5),)), press.ENVELOPE),
        (press.by_hand(serial="ZA2"), press.by_hand()),
    ],
    ids=["more is gone", "another disk"],
)  # fmt: skip
def test_pages_that_say_something_else_than_their_envelope_are_found(
    examiner: Examiner, monkeypatch: pytest.MonkeyPatch, better: bytes, attached: bytes
) -> None:
    """Signed by the library itself: the picture says something else than what is attached."""
    shown = render(better)

    def swapped(_: bytes) -> bytes:
        return _with_attachment(shown, attached)

    examined = examine(examiner, signed(monkeypatch, swapped))
    assert failed(examined) == ["P4"]
    assert not examined.ok


def test_an_envelope_under_another_name_is_found(examiner: Examiner, monkeypatch: pytest.MonkeyPatch) -> None:
    other = invented.sealed(identity__id="C-2026-0008-p")
    examined = examine(examiner, signed(monkeypatch, lambda pdf: _with_attachment(pdf, other)))
    assert failed(examined) == ["P3"]


def test_an_attachment_that_is_no_certificate_is_found(
    examiner: Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failed(examine(examiner, signed(monkeypatch, lambda pdf: _with_attachment(pdf, b"{}")))) == ["P3"]


def test_an_envelope_whose_facts_contradict_each_other_is_left_to_its_own_steps(
    examiner: Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P3 does not say more than that it is attached; and no page can follow from it."""
    dishonest = invented.sealed(what__items=99)
    examined = examine(examiner, signed(monkeypatch, lambda pdf: _with_attachment(pdf, dishonest)))
    assert results(examined) == {"P1": "passed", "P2": "passed", "P3": "passed", "P4": "failed"}


def _twice(writer: IncrementalPdfFileWriter) -> None:
    writer.root["/AF"].append(writer.root["/AF"].raw_get(0))


def _renamed(writer: IncrementalPdfFileWriter) -> None:
    writer.root["/AF"][0]["/F"] = generic.TextStringObject("invoice.exe")


def _unrelated(writer: IncrementalPdfFileWriter) -> None:
    writer.root["/AF"][0]["/AFRelationship"] = pdf_name("/Supplement")


@pytest.mark.parametrize("change", [_twice, _renamed, _unrelated])
def test_an_attachment_in_another_form_is_found(
    examiner: Examiner, monkeypatch: pytest.MonkeyPatch, change: Callable[[IncrementalPdfFileWriter], None]
) -> None:
    examined = examine(examiner, signed(monkeypatch, lambda pdf: _changed(pdf, change)))
    assert failed(examined) == ["P3"]


def test_pages_of_another_version_are_not_called_good_or_bad(
    examiner: Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.paper.printer.TEMPLATE", 0)
    older = press.page()
    monkeypatch.undo()
    examined = examine(examiner, older)
    assert results(examined) == {"P1": "passed", "P2": "passed", "P3": "passed", "P4": "not-checked"}
    assert (examined.ok, examined.verdict) == (True, "P4")
    assert not examine(examiner, older, b"").ok, "then nobody known vouches for them"


def _changed(pdf: bytes, change: Callable[[IncrementalPdfFileWriter], None]) -> bytes:
    """The page with a change, written as one revision, as the form wants it."""
    from pyhanko.pdf_utils.writer import copy_into_new_writer

    writer = copy_into_new_writer(IncrementalPdfFileWriter(io.BytesIO(pdf)).prev)
    change(writer)  # type: ignore[arg-type]
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _with_attachment(pdf: bytes, content: bytes) -> bytes:
    def change(writer: IncrementalPdfFileWriter) -> None:
        stream = writer.root["/AF"][0]["/EF"].raw_get("/F").get_object()
        stream._data, stream._encoded_data = content, None

    return _changed(pdf, change)


def _script(writer: IncrementalPdfFileWriter) -> None:
    action = {"/S": pdf_name("/JavaScript"), "/JS": generic.TextStringObject("app.alert(1)")}
    writer.root["/OpenAction"] = generic.DictionaryObject({pdf_name(k): v for k, v in action.items()})


def _page_action(writer: IncrementalPdfFileWriter) -> None:
    writer.root["/Pages"]["/Kids"][0]["/AA"] = generic.DictionaryObject()


def _named_script(writer: IncrementalPdfFileWriter) -> None:
    writer.root["/Names"]["/JavaScript"] = generic.DictionaryObject()


def _form(writer: IncrementalPdfFileWriter) -> None:
    fields.append_signature_field(writer, fields.SigFieldSpec("Second"))


def _endless_pages(writer: IncrementalPdfFileWriter) -> None:
    pages = writer.root.raw_get("/Pages")
    pages.get_object()["/Kids"].append(pages)


@pytest.mark.parametrize("change", [_script, _page_action, _named_script, _form, _endless_pages])
def test_a_signed_page_that_acts_is_refused(
    examiner: Examiner, monkeypatch: pytest.MonkeyPatch, change: Callable[[IncrementalPdfFileWriter], None]
) -> None:
    """Even when the library's own key signed it."""
    began = time.monotonic()
    examined = examine(examiner, signed(monkeypatch, lambda pdf: _changed(pdf, change)))
    assert failed(examined) == ["P1"]
    assert time.monotonic() - began < PATIENCE


def test_an_attachment_that_unpacks_without_end_is_refused(
    examiner: Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = zlib.compressobj(9)
    first, again = (bomb.compress(bytes(1024 * 1024)) + bomb.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    packed = first + again * 4095 + bomb.flush()

    def change(writer: IncrementalPdfFileWriter) -> None:
        stream = writer.root["/AF"][0]["/EF"].raw_get("/F").get_object()
        stream._data, stream._encoded_data = None, packed

    examined = examine(examiner, signed(monkeypatch, lambda pdf: _changed(pdf, change)))
    assert failed(examined) in (["P1"], ["P3"])


HOSTILE = {
    "empty": b"",
    "something else": b"GIF89a" + bytes(100),
    "header alone": b"%PDF-1.7\n",
    "brackets": b"%PDF-1.7\n" + b"[" * 1_000_000,
    "dictionaries": b"%PDF-1.7\n1 0 obj\n" + b"<</A" * 300_000 + b"\nendobj\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n",
    "a table that points to itself": b"%PDF-1.7\nxref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 1/Root 1 0 R/Prev 9>>\nstartxref\n9\n%%EOF\n",
    "a table of four thousand million entries": b"%PDF-1.7\nxref\n0 4000000000\ntrailer\n<</Size 1/Root 1 0 R>>\nstartxref\n9\n%%EOF\n",
    "an endless number": b"%PDF-1.7\nstartxref\n" + b"9" * 1_000_000 + b"\n%%EOF\n",
    "too large": b"%PDF-1.7\n" + bytes(MAX_PDF),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_cost_little(examiner: Examiner, name: str) -> None:
    began = time.monotonic()
    assert failed(examine(examiner, HOSTILE[name])) == ["P1"]
    assert time.monotonic() - began < PATIENCE
    assert examine(examiner, PAGE).ok, "and the next file is examined as if nothing had been"


def test_a_reader_that_does_not_start_says_nothing_about_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    examiner = Examiner()
    with pytest.raises(Unavailable, match="has ended without an answer"):
        examine(examiner, PAGE)
    examiner.close()


@settings(max_examples=50)
@given(st.binary(max_size=2000))
def test_noise_is_refused(examiner: Examiner, noise: bytes) -> None:
    assert failed(examine(examiner, b"%PDF-1.7\n" + noise)) == ["P1"]
