"""Documents: frozen dataclasses to canonical JSON (RFC 8785) and back, strictly.

Refuses what two readers could understand differently or what costs a reader more than it cost the writer: duplicate
names, fractions, numbers beyond 2**53, deep nesting, more values than any certificate has, other encodings than
UTF-8, and every spelling but the canonical one. Sources: RFC 8785 (JCS), RFC 7493 (I-JSON), RFC 3339 (times).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import types
import typing
from collections.abc import Hashable, Iterator, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TypeVar

import rfc8785

from retention.errors import VerificationFailed

JSON = None | bool | int | str | list["JSON"] | dict[str, "JSON"]

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 32
MAX_PARTS = 200_000
"""Most commas, colons and brackets: a bound on the number of values, counted before anything is built."""
OPTIONAL: Mapping[str, bool] = types.MappingProxyType({"optional": True})
"""Metadata of a dataclass field that came later: it stands in a document only when it is not ``None``, its default."""

# Possessive, and the closing quote optional: a string without end is one token, not a new attempt at every quote in it.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

T = TypeVar("T")


def encode(value: JSON) -> bytes:
    """The canonical bytes of a JSON value (RFC 8785). Raises `VerificationFailed` for what has none (lone surrogates)."""
    try:
        return rfc8785.dumps(value)
    except (ValueError, RecursionError):  # CanonicalizationError and UnicodeEncodeError are both ValueErrors
        raise VerificationFailed("the document has no canonical JSON form") from None


def parse(data: bytes, what: str) -> JSON:
    """Read one canonical JSON document of at most `MAX_BYTES`. ``what`` names it in errors.

    Raises `VerificationFailed`. Time and memory are bounded by the limits above, whatever the bytes are.
    """
    if not data:
        raise VerificationFailed(f"{what} is empty")
    if len(data) > MAX_BYTES:
        raise VerificationFailed(f"{what} is larger than {MAX_BYTES // 1024 // 1024} MiB")
    if (
        sum(data.count(mark) for mark in (b",", b":", b"[", b"{")) > MAX_PARTS
        or data.count(b'"') > 2 * MAX_PARTS
    ):
        raise VerificationFailed(f"{what} has too many parts")
    depth = 0
    for token in _TOKENS.finditer(data):
        first = token.group()[:1]
        depth += (first in b"[{") - (first in b"]}")
        if depth > MAX_DEPTH:
            raise VerificationFailed(f"{what} is nested too deeply")
    try:
        value: JSON = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_members,
            parse_int=_whole,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError):  # JSONDecodeError and UnicodeDecodeError are both ValueErrors
        raise VerificationFailed(
            f"{what} is not readable as JSON with distinct names and whole numbers"
        ) from None
    if encode(value) != data:
        raise VerificationFailed(f"{what} is not canonical JSON (RFC 8785)")
    return value


def _members(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate name")
    return members


def _whole(text: str) -> int:
    if len(text) > 17:
        raise ValueError("number too large")
    return int(text)


def _no_number(text: str) -> JSON:
    raise ValueError("not a whole number")


def write(value: object) -> JSON:
    """A JSON value of a dataclass: names in camelCase, every field present but those `OPTIONAL`, times in UTC to the second."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise VerificationFailed("a time without a time zone cannot stand in a document")
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [write(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): write(item) for name, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            camel(field.name): write(member)
            for field in dataclasses.fields(value)
            if (member := getattr(value, field.name)) is not None or not _optional(field)
        }
    raise TypeError(f"no document form for {type(value).__name__}")


def _optional(field: dataclasses.Field[typing.Any]) -> bool:
    return field.metadata.get("optional") is True


def camel(name: str) -> str:
    """``hold_epoch`` → ``holdEpoch``."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def texts(value: JSON) -> Iterator[str]:
    """Every text in a JSON value, names of members excluded."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)


def read(kind: type[T], value: JSON, path: str, unknown: list[str] | None = None) -> T:
    """The dataclass ``kind`` from its JSON form. Raises `VerificationFailed` naming the field by its path.

    Names nobody knows are refused, or collected in ``unknown`` where a later version may have added some.
    """
    if not isinstance(value, dict):
        raise VerificationFailed(f"{path} must be an object")
    hints = _hints(typing.cast(Hashable, kind))
    names = {camel(field.name): field for field in dataclasses.fields(typing.cast(typing.Any, kind))}
    strange = sorted(set(value) - set(names))
    if strange and unknown is None:
        raise VerificationFailed(f"{path} has a member that does not belong there")
    if unknown is not None:
        unknown.extend(f"{path}.{name}" for name in strange)
    members: dict[str, object] = {}
    for name, field in names.items():
        if name not in value and _optional(field):
            continue
        if name not in value:
            raise VerificationFailed(f"{path}.{name} is missing")
        if value[name] is None and _optional(field):
            raise VerificationFailed(f"{path}.{name} is left out where there is none")
        members[field.name] = _value(hints[field.name], value[name], f"{path}.{name}", unknown)
    return kind(**members)


@functools.cache
def _hints(kind: Hashable) -> dict[str, typing.Any]:
    return typing.get_type_hints(kind)


def _value(hint: typing.Any, value: JSON, path: str, unknown: list[str] | None) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return None if value is None else _value(inner, value, path, unknown)
    if origin is tuple:
        if not isinstance(value, list):
            raise VerificationFailed(f"{path} must be a list")
        return tuple(_value(arguments[0], item, f"{path}[{i}]", unknown) for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise VerificationFailed(f"{path} must be an object")
        return value
    if hint in (bool, int):
        if type(value) is not hint:
            raise VerificationFailed(
                f"{path} must be {'true or false' if hint is bool else 'a whole number'}"
            )
        return value
    if dataclasses.is_dataclass(hint):
        return read(typing.cast("type[object]", hint), value, path, unknown)
    if not isinstance(value, str):
        raise VerificationFailed(f"{path} must be text")
    return _text(hint, value, path)


def _text(hint: typing.Any, value: str, path: str) -> object:
    try:
        if hint is datetime and _TIME.fullmatch(value):
            return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if hint is date and _DATE.fullmatch(value):
            return date.fromisoformat(value)
        if issubclass(hint, StrEnum):
            return hint(value)
        if hint is str:
            return value
    except ValueError:
        pass
    raise VerificationFailed(f"{path} is not a {hint.__name__} as this version writes it")
