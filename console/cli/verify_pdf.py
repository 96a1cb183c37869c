"""``certificate verify`` of a PDF: its own steps around those of the envelope attached to it.

The envelope's steps need pyHanko as little as ever: without it this says so, and how to take the envelope out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from console.cli.answer import Line, bad, doubtful, good
from console.cli.registry import later
from retention.document import JSON
from retention.errors import UsageError
from retention.verify import Report, Result

if TYPE_CHECKING:
    from storage.paper.examining import Examined, Examiner

SUFFIX = ".pdf"
MAGIC = b"%PDF-"


def is_pdf(file: Path, head: bytes) -> bool:
    """By its name or its first bytes, so that an empty or broken one is examined as what it claims to be."""
    return file.suffix.lower() == SUFFIX or head.startswith(MAGIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a PDF's own steps, and the report on the envelope attached to it, if it came to that."""

    examined: Examined
    report: Report | None

    @property
    def ok(self) -> bool:
        return self.examined.ok and self.report is not None and self.report.ok

    @property
    def verdict(self) -> str:
        """One line for people."""
        if self.report is None or (not self.examined.ok and self.report.ok):
            return self.examined.verdict
        if not self.report.ok or not self.examined.verdict:
            return self.report.verdict
        return f"{self.report.verdict}; of the PDF not checked: step {self.examined.verdict}"

    def lines(self, told: Callable[[Report], list[Line]]) -> list[Line]:
        """P1 to P3, the envelope's own steps as ``told`` tells them, P4, and one verdict over all."""
        marks = {Result.PASSED: good, Result.FAILED: bad, Result.NOT_CHECKED: doubtful}
        own: list[Line] = [
            marks[one.result](f"  {one.id}. {one.name}: {one.result.value.replace('-', ' ')}: {one.detail}")
            for one in self.examined.steps
        ]
        inner = [] if self.report is None else told(self.report)
        return [*own[:-1], *inner, own[-1], good(self.verdict) if self.ok else bad(self.verdict)]

    def document(self) -> dict[str, JSON]:
        """As the document of an envelope's report, with the PDF's own steps under ``pdf``."""
        inner = Report(steps=()) if self.report is None else self.report
        complete = inner.complete and not self.examined.verdict
        return {**inner.document(), "ok": self.ok, "complete": complete, "pdf": self.examined.document()}


class Pdfs:
    """Examines PDFs; the programs that takes are loaded with the first one."""

    def __init__(self) -> None:
        self._examiner: Examiner | None = None

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
    ) -> Outcome:
        """``verify``: verifies the attached envelope. The rest as `storage.paper.examining` takes it. Raises `UsageError` without pyHanko."""
        reports: list[Report] = []

        def verified(envelope: bytes) -> bool:
            reports.append(verify(envelope))
            return reports[-1].ok

        self._examiner = self._examiner or _examiner()
        examined = self._examiner.examine(
            pdf, certificates=certificates, keyids=keyids, envelope_verified=verified
        )
        return Outcome(examined=examined, report=reports[0] if reports else None)


def _examiner() -> Examiner:
    try:
        return cast("Examiner", later("storage.paper.examining:Examiner")())
    except ImportError as error:
        missing = (error.name or "a program").partition(".")[0]
        raise UsageError(
            f"checking a PDF needs {missing}, which is not installed here",
            "take the envelope out (pdfdetach -saveall FILE) and verify that: it needs less",
        ) from None
