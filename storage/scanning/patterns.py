"""What personal data looks like in bytes, and what only looks like it.

RE2 proposes, cheap checks dispose: the check digit of a barcode, whether a telephone number can exist, whether an address is a role's
and not a person's. A time stamp of fourteen digits is no barcode, though one in ten passes its check digit. Refuses to keep or
return a value: callers get counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

import phonenumbers
import re2  # type: ignore[import-untyped]

from retention.errors import SettingsError


class Kind(StrEnum):
    BARCODE = "barcode"
    EMAIL = "e-mail"
    PHONE = "phone"
    ADDRESS = "address"
    BIRTH_DATE = "birth date"
    NAME = "name"
    IDENTIFIER = "identifier"
    KNOWN = "known person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Barcode:
    """The library's own patron barcodes: first digits, length, and whether the last digit is a check digit (Luhn, modulo 10)."""

    prefix: str
    length: int
    check: bool = True


CODABAR = (Barcode(prefix="2", length=14),)
"""The common scheme: fourteen digits, 2 for a patron (3 for an item), four for the library, a check digit."""


def read_barcodes(text: str) -> tuple[Barcode, ...]:
    """``2:14,5819:13:none``: first digits, length, and ``none`` for codes without a check digit. Raises `SettingsError`."""
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,12}):(\d{1,2})(:none)?\s*", part)
        if match is None or not len(match[1]) < int(match[2]) <= 24 or int(match[2]) < 5:
            raise SettingsError(
                "setting RETENTION_BARCODES: not a list of prefix:length",
                'for instance "2:14" or "21234:14,5819:13:none"',
            )
        found.append(Barcode(prefix=match[1], length=int(match[2]), check=match[3] is None))
    return tuple(found)


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others: ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        total += value if place % 2 == 0 else value * 2 - 9 * (value > 4)
    return total % 10 == 0


def is_time_stamp(digits: str) -> bool:
    """Whether fourteen digits are a plausible moment: 20260315142233."""
    if len(digits) != 14 or not "1990" <= digits[:4] < "2040":
        return False
    try:
        datetime.strptime(digits, "%Y%m%d%H%M%S")  # noqa: DTZ007  # only whether it is one
    except ValueError:
        return False
    return True


_ROLES = frozenset(
    [
        "abuse",
        "accounts",
        "admin",
        "administrator",
        "auth",
        "billing",
        "bot",
        "cataloging",
        "circ",
        "circulation",
        "contact",
        "daemon",
        "desk",
        "donotreply",
        "editor",
        "feedback",
        "git",
        "help",
        "helpdesk",
        "hello",
        "hostmaster",
        "info",
        "inquiries",
        "it",
        "jobs",
        "library",
        "mail",
        "mailer",
        "mailer-daemon",
        "marketing",
        "news",
        "newsletter",
        "no-reply",
        "noreply",
        "notifications",
        "office",
        "orders",
        "permissions",
        "postmaster",
        "press",
        "privacy",
        "reference",
        "root",
        "sales",
        "security",
        "service",
        "services",
        "staff",
        "subscriptions",
        "support",
        "sysadmin",
        "system",
        "team",
        "uucp",
        "webmaster",
        "www",
    ]
)
_NO_DOMAINS = ("localhost", "localdomain", "local", "invalid", "internal")
_FILES = frozenset(
    [
        "css",
        "gif",
        "htm",
        "html",
        "jpeg",
        "jpg",
        "js",
        "json",
        "lock",
        "log",
        "md",
        "map",
        "png",
        "py",
        "rb",
        "sh",
        "so",
        "svg",
        "txt",
        "webp",
        "xml",
        "yaml",
        "yml",
        "zip",
    ]
)


def is_personal_email(address: str) -> bool:
    """Whether an address is more likely a person's than a role's, a message's, a file's or a program's."""
    local, _, domain = address.casefold().rpartition("@")
    ending = domain.rpartition(".")[2]
    if not local or not ending.isalpha() or len(ending) < 2 or ending in _FILES or ending in _NO_DOMAINS:
        return False
    if local.partition("+")[0].strip(".") in _ROLES or local.startswith(
        ("no-reply", "noreply", "bounce", "list-")
    ):
        return False
    digits = sum(letter.isdigit() for letter in local)
    return len(local) <= 40 and (digits <= 8 or digits < len(local) / 2)


@lru_cache(4096)
def is_phone(number: str, region: str) -> bool:
    """Whether a number can exist, by the numbering plan of its country."""
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


_OPTIONS = re2.Options()
_OPTIONS.encoding = re2.Options.Encoding.LATIN1
_STREETS = "Avenue|Ave|Boulevard|Blvd|Circle|Cir|Court|Ct|Drive|Dr|Highway|Hwy|Lane|Ln|Parkway|Pkwy|Place|Pl|Road|Rd|Street|St|Terrace|Ter|Trail|Trl|Way"
_EMAIL = rb"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"
_PHONE = (
    rb"(?:\+[1-9][0-9 ().-]{7,18}[0-9]|\(\d{3}\) ?\d{3}-\d{4}|\b\d{3}-\d{3}-\d{4}\b|\b\d{3}\.\d{3}\.\d{4}\b)"
)
_ADDRESS = (
    r"\b[1-9]\d{0,5} +(?:[NSEW]\.? +)?(?:[A-Z][A-Za-z'.]* +|\d{1,3}(?:st|nd|rd|th) +){1,3}(?:"
    + _STREETS
    + r")\b"
).encode()
_BIRTH = rb"(?i)\b(?:dob|birth ?date|birthday|date of birth|dateofbirth|born)\b[\"']?[ \t]*[:=,][ \t]*[\"']?\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"

Judge = Callable[[str], bool]


class Patterns:
    """The detectors of one site. ``barcodes``: the library's own; ``region``: two letters, where numbers without a country are from."""

    def __init__(self, barcodes: Sequence[Barcode] = CODABAR, region: str = "US") -> None:
        self.barcodes = tuple(barcodes)
        self.region = region
        codes = "|".join(rf"{code.prefix}\d{{{code.length - len(code.prefix)}}}" for code in self.barcodes)
        self._quick = {
            Kind.BARCODE: re2.compile(rf"\b(?:{codes})\b".encode(), _OPTIONS),
            Kind.EMAIL: re2.compile(_EMAIL, _OPTIONS),
            Kind.PHONE: re2.compile(_PHONE, _OPTIONS),
            Kind.ADDRESS: re2.compile(_ADDRESS, _OPTIONS),
            Kind.BIRTH_DATE: re2.compile(_BIRTH, _OPTIONS),
        }
        self._judges: Mapping[Kind, Judge] = {
            Kind.BARCODE: self.is_barcode,
            Kind.EMAIL: is_personal_email,
            Kind.PHONE: lambda number: is_phone(number, region),
        }

    def candidates(self, block: bytes, leave_out: Collection[Kind] = ()) -> Mapping[Kind, list[bytes]]:
        """What looks like personal data in a block of text, before anything is checked."""
        found: dict[Kind, list[bytes]] = {}
        for kind, pattern in self._quick.items():
            if kind in leave_out or (kind is Kind.EMAIL and b"@" not in block):
                continue
            hits = pattern.findall(block)
            if hits:
                found[kind] = hits
        return found

    def confirms(self, kind: Kind, value: str) -> bool:
        """Whether a candidate stands up to its check."""
        judge = self._judges.get(kind)
        return judge is None or judge(value)

    def is_barcode(self, digits: str) -> bool:
        """Whether it is one of the library's own patron barcodes."""
        return any(
            len(digits) == code.length and digits.startswith(code.prefix) and (not code.check or passes_luhn(digits))
            for code in self.barcodes
        ) and not is_time_stamp(digits)  # fmt: skip
