"""Passwords: argon2id with the library's recommended cost. An unknown name costs as much time as a wrong password."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 15, 256
"""In characters: long rather than odd, as NIST SP 800-63B-4 asks of a password that stands alone."""

_hasher = PasswordHasher()


def problem_of(password: str, *about: str) -> str | None:
    """Why a password cannot be taken; ``about``: words that it must not consist of, such as the person's name."""
    plain = _plain(password)
    if len(plain) < SHORTEST:
        return f"Use at least {SHORTEST} characters. Several words are easy to remember."
    if len(plain) > LONGEST:
        return f"Use at most {LONGEST} characters."
    if len(set(plain.casefold())) < 5:
        return "Use more different characters."
    if any(word and plain.casefold().replace(word.casefold(), "") == "" for word in about):
        return "Do not use your own name."
    return None


def hashed(password: str) -> str:
    return _hasher.hash(_plain(password))


def is_right(password: str, known: str | None) -> bool:
    """Whether it is the password; ``known``: its hash, ``None`` for somebody without one."""
    try:
        _hasher.verify(known or _nobody(), _plain(password)[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
    return known is not None


def _plain(password: str) -> str:
    """The same password typed on another keyboard is the same."""
    return unicodedata.normalize("NFKC", password)


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _hasher.hash("nobody has this password")
