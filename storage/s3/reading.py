"""Reading a store's listings without a tree of elements: eleven objects an entry would keep the garbage collector busier than us."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from xml.parsers import expat

from retention.errors import StoreUnavailable

_NOT_IN_XML = bytes(sorted({*range(32)} - {9, 10, 13}))


class Rows(NamedTuple):
    """``rows``: name and texts of each wanted child of the document, in order; ``about``: texts of the document itself."""

    rows: list[tuple[str, dict[str, str]]]
    about: dict[str, str]


def cleaned(body: bytes) -> bytes:
    """Without characters that XML cannot hold, where keys are encoded and so without them: some servers leave them in markers."""
    return body.translate(None, _NOT_IN_XML) if b"<EncodingType>url</EncodingType>" in body else body


def unreadable() -> StoreUnavailable:
    return StoreUnavailable(
        "the store's answer cannot be read", "see whether the endpoint is that of an S3 server"
    )


def rows(body: bytes, document: str, wanted: Collection[str]) -> Rows:
    """The children of those names in a document of that name. Raises `StoreUnavailable` for any other document."""
    found: list[tuple[str, dict[str, str]]] = []
    about: dict[str, str] = {}
    row: dict[str, str] = about
    depth = 0
    text = ""

    def start(name: str, _: object) -> None:
        nonlocal depth, row, text
        depth += 1
        text = ""
        if depth == 2:
            row = {}
        elif depth == 1 and name != document:
            raise unreadable()

    def end(name: str) -> None:
        nonlocal depth, text
        if depth == 3:
            row[name] = text
        elif depth == 2:
            if name in wanted:
                found.append((name, row))
            else:
                about[name] = text
        depth -= 1
        text = ""

    def characters(data: str) -> None:
        nonlocal text
        text = text + data if text else data

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    try:
        parser.Parse(cleaned(body), True)
    except expat.ExpatError:
        raise unreadable() from None
    return Rows(found, about)
