"""``certificate verify`` of a PDF: its own steps around those of the envelope attached to it.

The envelope's steps need pyHanko as little as ever: without it this says so, and how to take the envelope out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Self

from console.cli.answer import Line, bad, doubtful, good
from console.cli.registry import later
from retention.errors import UsageError
from retention.verify import Report, Result

SUFFIX = ".pdf"
MAGIC = b"%PDF-"


def is_pdf(file: Path, head: bytes) -> bool:
    """By its name or its first bytes, so that an empty or broken one is examined as what it claims to be."""
    return file.suffix.lower() == SUFFIX or head.startswith(MAGIC)


class Pdfs:
    """Examines PDFs; the programs that takes are loaded with the first one."""

    def __init__(self) -> None:
        self._examiner: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._examiner is not None:
            self._examiner.close()

    def examine(
        self,
        pdf: bytes,
        verify: Callable[[bytes], Report],
        *,
        certificates: Collection[bytes],
        keyids: Collection[str],
    ) -> tuple[Any, Report | None]:
        """What came of the PDF's own steps (`storage.paper.examining.Examined`), and the report on the envelope attached to it."""
        reports: list[Report] = []

        def verified(envelope: bytes) -> bool:
            reports.append(verify(envelope))
            return reports[-1].ok

        self._examiner = self._examiner or _examiner()
        examined = self._examiner.examine(
            pdf, certificates=certificates, keyids=keyids, envelope_verified=verified
        )
        return examined, reports[0] if reports else None


def _examiner() -> Any:
    try:
        return later("storage.paper.examining:Examiner")()
    except ImportError as error:
        missing = (error.name or "a program").partition(".")[0]
        raise UsageError(
            f"checking a PDF needs {missing}, which is not installed here",
            "take the envelope out (pdfdetach -saveall FILE) and verify that: it needs less",
        ) from None


def lines(examined: Any, report: Report | None, told: Callable[[Report], list[Line]]) -> list[Line]:
    """P1 to P3, the envelope's own steps without their verdict, P4, and one verdict over all."""
    marks = {Result.PASSED: good, Result.FAILED: bad, Result.NOT_CHECKED: doubtful}
    own: list[Line] = [
        marks[step.result](f"  {step.id}. {step.name}: {step.result.value.replace('-', ' ')}: {step.detail}")
        for step in examined.steps
    ]
    inner = told(report) if report is not None else []
    ok = examined.ok and report is not None and report.ok
    return [
        *own[:-1],
        *inner,
        own[-1],
        good(verdict(examined, report)) if ok else bad(verdict(examined, report)),
    ]


def verdict(examined: Any, report: Report | None) -> str:
    """One line for people."""
    if report is None or (not examined.ok and report.ok):
        return str(examined.verdict)
    if not report.ok or not examined.verdict:
        return report.verdict
    return f"{report.verdict}; of the PDF not checked: step {examined.verdict}"
