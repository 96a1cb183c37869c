"""Names of columns in files that people and vendors made: "Patron Barcode", "PATRON_BARCODE" and "patron-barcode" are one.

Refuses to choose between two columns of a file that come out alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

_GAPS = re.compile(r"[^a-z0-9]+")


def plain(header: str) -> str:
    """A header as a plain column name: lower case, ``_`` between words. ``""`` for one without a letter or digit."""
    bare = unicodedata.normalize("NFKD", header)
    return _GAPS.sub("_", bare.encode("ascii", "ignore").decode().casefold()).strip("_")


def places(headers: Iterable[str]) -> Mapping[str, int]:
    """Where each column stands, by its plain name; -1 for a name that two columns share."""
    found: dict[str, int] = {}
    for index, header in enumerate(headers):
        name = plain(header)
        if name:
            found[name] = -1 if name in found else index
    return found
