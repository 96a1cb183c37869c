"""What came in with a form: fields and documents. A document that is too large is read to its end and forgotten, never kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from console.web.problems import BadForm
from console.web.security import MAX_UPLOAD

MAX_DOCUMENT = 20 * 1024 * 1024
MAX_FIELDS = 200
MAX_VALUE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A document somebody sent. ``too_large``: then ``content`` is empty."""

    name: str
    content: bytes = field(repr=False)
    too_large: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    values: Mapping[str, tuple[str, ...]] = field(repr=False)
    uploads: Mapping[str, Upload] = field(repr=False)

    def one(self, name: str) -> str:
        """A field's value without the spaces around it; "" when it was not sent."""
        return next(iter(self.values.get(name, ())), "").strip()

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value.strip() for value in self.values.get(name, ()) if value.strip())

    def lines(self, name: str) -> tuple[str, ...]:
        """The lines of a text area that are not empty."""
        text = next(iter(self.values.get(name, ())), "")
        return tuple(line.strip() for line in text.splitlines() if line.strip())

    def ticked(self, name: str) -> bool:
        return self.one(name) in ("yes", "on", "true")

    def upload(self, name: str) -> Upload | None:
        """The document of a field; ``None`` when none was chosen."""
        found = self.uploads.get(name)
        return None if found is None or (not found.name and not found.content) else found


class _Parser(MultiPartParser):
    """Keeps documents in memory (nothing of a court's papers goes to a temporary file) and drops the rest of one that is too large."""

    spool_max_size = MAX_UPLOAD + 1

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._current_part
        if part.file is not None:
            seen = getattr(part.file, "seen", 0) + end - start
            part.file.seen = seen  # type: ignore[attr-defined]
            if seen > MAX_DOCUMENT:
                return
        super().on_part_data(data, start, end)


async def read_form(request: Request) -> Form:
    """The form of a request, also as a JSON object. Raises `BadForm` for what is none."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/json":
        return _of_json(await request.body())
    if kind == "multipart/form-data":
        parser = _Parser(
            request.headers, request.stream(), max_files=4, max_fields=MAX_FIELDS, max_part_size=MAX_VALUE
        )
        try:
            sent = await parser.parse()
        except (MultiPartException, KeyError):
            raise BadForm from None
    elif kind in ("application/x-www-form-urlencoded", ""):
        sent = await request.form(max_fields=MAX_FIELDS)
    else:
        raise BadForm
    values: dict[str, tuple[str, ...]] = {}
    uploads: dict[str, Upload] = {}
    for name, value in sent.multi_items():
        if isinstance(value, UploadFile):
            too_large = getattr(value, "seen", 0) > MAX_DOCUMENT
            content = b"" if too_large else await value.read()
            uploads[name] = Upload(name=value.filename or "", content=content, too_large=too_large)
        else:
            values[name] = (*values.get(name, ()), _clean(value))
    await sent.close()
    return Form(values=values, uploads=uploads)


def _of_json(body: bytes) -> Form:
    try:
        sent: Any = json.loads(body or b"{}")
    except ValueError:
        raise BadForm from None
    if not isinstance(sent, dict) or len(sent) > MAX_FIELDS:
        raise BadForm
    values: dict[str, tuple[str, ...]] = {}
    for name, value in sent.items():
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | bool | int) or item is None for item in items):
            raise BadForm
        values[name] = tuple(
            _clean(("yes" if item else "") if isinstance(item, bool) else str(item))
            for item in items
            if item is not None
        )
    return Form(values=values, uploads={})


def _clean(value: str) -> str:
    """Without what no database keeps: NUL and halves of characters."""
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


Typed = Annotated[Form, Depends(read_form)]
"""What was typed, in a handler's arguments."""
