"""What a column's name says, and whether its values bear it out. A name alone proves little: item lists have names and places too."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from retention.columns import plain
from storage.scanning.patterns import Kind, Patterns, is_personal_email, is_phone

_NAMES: Mapping[Kind, str] = {
    Kind.BARCODE: r"(?:patron|user|usr|borrower|member|customer|card|library)_?(?:barcode|card|card_?number|card_?no)|(?:library_)?card_?(?:number|no)|barcode",
    Kind.EMAIL: r"(?:[a-z]+_)?e_?mail(?:_?address)?\d?|email(?:pro)?",
    Kind.PHONE: r"(?:[a-z]+_)?(?:tele)?phone(?:_?(?:number|no|\d))?|mobile|cell|sms(?:_?(?:number|alert_?number))?|day_phone|evening_phone",
    Kind.ADDRESS: r"(?:[a-z]+_)?(?:street|address|addr)(?:_?(?:line_?)?\d)?|street\d|b_address|address_line_\d",
    Kind.BIRTH_DATE: r"dob|birth_?date|date_?of_?birth|dateofbirth|birthday|born",
    Kind.NAME: r"(?:last|first|middle|family|given|full|sur|patron|borrower|customer|user|guardian|parent)_?name|surname|firstname|lastname|forename",
    Kind.IDENTIFIER: r"(?:patron|user|usr|borrower|member|customer)_?(?:id|number|num|no)|borrowernumber|driver_?s?_?licen[cs]e|ident_value|ssn|student_?id|guest_?pass",
}
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in _NAMES.items()}
_ROUNDED = re.compile(r"\d(?:\.\d+)?E\+1\d")
_DATES = ("%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y", "%m-%d-%Y", "%Y%m%d", "%d/%m/%Y")
_STREET = re.compile(r"\d+ .*[A-Za-z]|(?:P\.? ?O\.? ?)?Box \d+|[A-Za-z].* \d+", re.IGNORECASE)
_WORDS = re.compile(r"[^\W\d_][\w'’.\- ,]*", re.UNICODE)
BORNE_OUT = 0.5
"""Share of a column's values that has to be what its name says."""


def kinds_of(headers: Sequence[str]) -> Mapping[int, Kind]:
    """Which columns are named like personal data, by their place."""
    found: dict[int, Kind] = {}
    for place, header in enumerate(headers):
        name = plain(header)
        kind = next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(name)), None)
        if kind is not None:
            found[place] = kind
    return found


class Sampled:
    """The values of the columns that matter, counted row by row. Nothing of them is kept but counts and, for barcodes, how many pass."""

    def __init__(self, headers: Sequence[str], patterns: Patterns) -> None:
        self.kinds = kinds_of(headers)
        self._patterns = patterns
        self._filled = dict.fromkeys(self.kinds, 0)
        self._true = dict.fromkeys(self.kinds, 0)
        self._years: dict[int, set[int]] = {}

    def add(self, values: Sequence[str | None]) -> None:
        """One row, as long as the header."""
        for place, kind in self.kinds.items():
            value = values[place]
            if value:
                self._filled[place] += 1
                self._true[place] += self._is(kind, value.strip(), place)

    def borne_out(self) -> Mapping[Kind, int]:
        """The kinds that names and values agree on, with how many values."""
        found: dict[Kind, int] = {}
        for place, kind in self.kinds.items():
            filled, true = self._filled[place], self._true[place]
            if not true or true < BORNE_OUT * filled:
                continue
            if kind is Kind.BIRTH_DATE and filled >= 20 and len(self._years.get(place, ())) < 5:
                continue  # people are born in many years
            found[kind] = max(true, found.get(kind, 0))
        return found

    def _is(self, kind: Kind, value: str, place: int) -> bool:
        match kind:
            case Kind.BARCODE:
                return self._patterns.is_barcode(value) or bool(_ROUNDED.fullmatch(value))
            case Kind.EMAIL:
                return "@" in value and is_personal_email(value)
            case Kind.PHONE:
                return is_phone(value, self._patterns.region)
            case Kind.ADDRESS:
                return bool(_STREET.search(value)) and "://" not in value
            case Kind.BIRTH_DATE:
                day = _day(value)
                if day is None or not 1900 <= day.year <= 2100:
                    return False
                self._years.setdefault(place, set()).add(day.year)
                return True
            case Kind.NAME:
                return bool(_WORDS.fullmatch(value)) and len(value) <= 60
            case _:
                return len(value) <= 40


def _day(text: str) -> date | None:
    for form in _DATES:
        try:
            return datetime.strptime(text[:10], form).date()  # noqa: DTZ007  # a day
        except ValueError:
            continue
    return None
