"""Path templates: what the path of a file says about its camera and its time.

A template must match the *whole* relative path. A path that matches none is unrecognised (``None``), one that matches but
cannot be true is `Impossible` (a 13th month, a path that can be read in two ways). Neither is ever guessed at, and neither
ever counts as old: the caller keeps such a file and reports it. Pure; reads no file and no clock.

Fields (digits are ASCII, of exactly the given length):

| field | matches |
|---|---|
| ``{camera}`` | the camera's name: any text within one path component |
| ``{Y}`` ``{y}`` ``{m}`` ``{d}`` ``{H}`` ``{M}`` ``{S}`` | year (4 digits, or 2 digits after 2000), month, day, hour, minute, second of the start |
| ``{eY}`` ``{em}`` ``{ed}`` ``{eH}`` ``{eM}`` ``{eS}`` | the same of the end; without a date, the first such time of day after the start |
| ``{epoch}`` | the start as seconds since 1970 UTC, 9 or 10 digits, with or without a fraction |
| ``{event}`` ``{any}`` | any text within one path component (``{event}`` is handed on, ``{any}`` is not) |
| ``{ext}`` | text without dots and slashes |
| ``{path}`` | any text, slashes included |

A field other than ``{any}`` and ``{path}`` that stands twice must have the same value in both places.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

EARLIEST_YEAR = 1990
"""A year before this one is a clock that was never set (1970, 1980), not an old recording."""

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_SECOND = timedelta(microseconds=999_999)
_LAZY = {
    "camera": r"[^/]+?",
    "event": r"[^/]+?",
    "any": r"[^/]+?",
    "path": r"[\s\S]+?",
    "ext": r"[^/.]+?",
    "epoch": r"[0-9]{9,10}?(?:\.[0-9]{1,9}?)??",
}
"""The fields of no fixed length, each as its shortest reading."""
_UNNAMED = frozenset({"any", "path"})
_START = ("Y", "m", "d", "H", "M", "S")
_END = ("eY", "em", "ed", "eH", "eM", "eS")
_SHAPES = {
    "camera": r"[^/]+",
    "event": r"[^/]+",
    "any": r"[^/]+",
    "path": r"[\s\S]+",
    "ext": r"[^/.]+",
    "epoch": r"[0-9]{9,10}(?:\.[0-9]{1,9})?",
    "Y": r"[0-9]{4}",
    "eY": r"[0-9]{4}",
} | dict.fromkeys(("y", "m", "d", "H", "M", "S", "em", "ed", "eH", "eM", "eS"), r"[0-9]{2}")


class Placed(NamedTuple):
    """What a path says. Naive times are wall clock in the location's zone; those of ``{epoch}`` are aware (UTC).

    ``start``: first moment that the path can mean, ``until``: last one, by its granularity (only a day named: 23:59:59.999999
    of that day); both ``None`` when the layout names no time. ``end``: last moment of a named end. A tuple, since one is made
    per file: a frozen dataclass takes a microsecond longer.
    """

    camera: str | None = None
    event: str | None = None
    start: datetime | None = None
    until: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Impossible:
    """The path has the right shape and cannot be true. ``reason`` quotes nothing of the path."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A layout that ships with the product. ``zone``: ``"UTC"`` or ``"local"`` (the recorder's own zone)."""

    template: str
    zone: str
    unit: str
    notes: str


PRESETS: dict[str, Preset] = {
    "frigate": Preset(
        template="{Y}-{m}-{d}/{H}/{camera}/{M}.{S}.mp4",
        zone="UTC",
        unit="file",
        notes="Frigate 0.12 and later, below recordings/. Segments of about 10 seconds; set max_length to 60.",
    ),
    "frigate-legacy": Preset(
        template="{Y}-{m}/{d}/{H}/{camera}/{M}.{S}.mp4",
        zone="UTC",
        unit="file",
        notes="Frigate 0.11 and earlier. Compare one file with its recording before use: some installs wrote local time.",
    ),
    "zoneminder-medium": Preset(
        template="{camera}/{Y}-{m}-{d}/{event}",
        zone="local",
        unit="folder",
        notes="ZoneMinder's default storage scheme. The path names the day only, so a hold on any hour keeps the whole day.",
    ),
    "zoneminder-deep": Preset(
        template="{camera}/{y}/{m}/{d}/{H}/{M}/{S}",
        zone="local",
        unit="folder",
        notes="ZoneMinder's Deep storage scheme. The .EventId links beside the events are left alone and reported.",
    ),
    "shinobi": Preset(
        template="{any}/{camera}/{Y}-{m}-{d}T{H}-{M}-{S}.{ext}",
        zone="local",
        unit="file",
        notes="Shinobi, below videos/: group, monitor, file. UTC where Shinobi runs with useUTC.",
    ),
    "motioneye": Preset(
        template="{camera}/{Y}-{m}-{d}/{H}-{M}-{S}.{any}",
        zone="local",
        unit="file",
        notes="motionEye with one folder per camera; thumbnails (.mp4.thumb) are recognised beside their clips.",
    ),
    "motion": Preset(
        template="{camera}/{event}-{any}-{Y}{m}{d}{H}{M}{S}.{ext}",
        zone="local",
        unit="file",
        notes="Motion's default file names with one target_dir per camera.",
    ),
    "date-tree": Preset(
        template="{camera}/{Y}/{m}/{d}/{H}-{M}-{S}.{ext}",
        zone="local",
        unit="file",
        notes="A plain tree: camera, year, month, day, time of day.",
    ),
    "s3-hive": Preset(
        template="camera={camera}/dt={Y}-{m}-{d}/hr={H}/{any}",
        zone="UTC",
        unit="file",
        notes="Partitions as query engines read them. The key names the hour only: a hold on any minute keeps the whole hour.",
    ),
}


class Layout:
    """A compiled template. Made by `compile_layout`; `read` takes a few microseconds a path."""

    __slots__ = (
        "_camera",
        "_components",
        "_end",
        "_epoch",
        "_event",
        "_lazy",
        "_pattern",
        "_start",
        "fields",
        "template",
    )

    def __init__(self, template: str, tokens: list[tuple[str, str]]) -> None:
        self.template = template
        self.fields = frozenset(text for kind, text in tokens if kind == "field")
        self._components = template.split("/")
        self._pattern = re.compile(_expression(tokens, lazy=False))
        # Two texts of no fixed length in one component (or two {path}) can share the same characters in more than one way.
        # The greedy and the lazy reading are the two extremes of all readings: when they are equal there is only one.
        crowded = any(sum(part.count(f"{{{name}}}") for name in _LAZY) > 1 for part in self._components)
        several = crowded or template.count("{path}") > 1
        self._lazy = re.compile(_expression(tokens, lazy=True)) if several else None
        groups = self._pattern.groupindex
        place = {
            name: groups.get(name, 0) - 1 for name in _SHAPES
        }  # -1, the None behind the last group: not in the layout
        self._camera, self._event, self._epoch = place["camera"], place["event"], place["epoch"]
        self._start = tuple(place[name] for name in ("y" if "y" in self.fields else "Y", *_START[1:]))
        self._end = tuple(place[name] for name in _END)

    @property
    def names_camera(self) -> bool:
        return "camera" in self.fields

    @property
    def names_time(self) -> bool:
        return not self.fields.isdisjoint(("Y", "y", "epoch"))

    @property
    def names_end(self) -> bool:
        return not self.fields.isdisjoint(_END)

    def is_fixed(self, depth: int) -> bool:
        """Whether the folder at that depth (0 = topmost) has the same name in every path: part of the layout itself."""
        if depth >= len(self._components) or any("{path}" in part for part in self._components[: depth + 1]):
            return False
        return "{" not in self._components[depth]

    def read(self, path: str) -> Placed | Impossible | None:
        """What ``path`` (relative, with ``/``) says; ``None`` when it does not match the template as a whole."""
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        if self._lazy is not None:
            other = self._lazy.fullmatch(path)
            if other is None or other.regs != found.regs:
                return Impossible("the path can be read in more than one way")
        values = (*found.groups(), None)
        camera = values[self._camera]
        if camera is not None and not camera.isascii():
            if not _is_text(camera):
                return Impossible("the camera's name is not valid UTF-8")
            camera = unicodedata.normalize("NFC", camera)
        event, epoch = values[self._event], values[self._epoch]
        try:
            if self._start[0] >= 0:
                start, until = _moments([values[place] for place in self._start])
            elif epoch is not None:
                start, until = _epoch(epoch)
            else:
                return Placed(camera=camera, event=event)
            end = _end_after(start, [values[place] for place in self._end]) if max(self._end) >= 0 else None
        except (ValueError, OverflowError):
            return Impossible("the path names a time that does not exist")
        return Placed(camera, event, start, until, end)


def expand(template: str) -> str:
    """The template that a preset stands for; any other as it is."""
    preset = PRESETS.get(template.removeprefix("preset:")) if template.startswith("preset:") else None
    return template if preset is None else preset.template


@lru_cache(maxsize=256)
def compile_layout(template: str) -> Layout:
    """Compile a template or ``preset:name``. Raises ``ValueError`` with one clear sentence when it makes no sense."""
    if template.startswith("preset:") and expand(template) == template:
        name = template.removeprefix("preset:")
        raise ValueError(f"there is no layout preset {name!r}; there are {', '.join(sorted(PRESETS))}")
    template = expand(template)
    parts = template.split("/")
    if "" in parts or "." in parts or ".." in parts:
        raise ValueError("a layout is a relative path: no empty component, no '.' and no '..'")
    if "\0" in template:
        raise ValueError("a layout holds no NUL character")
    tokens = _tokens(template)
    _check(frozenset(text for kind, text in tokens if kind == "field"))
    return Layout(template, tokens)


def _tokens(template: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    for part in re.split(r"(\{[^{}]*\})", template):
        if part.startswith("{") and part.endswith("}"):
            name = part[1:-1]
            if name not in _SHAPES:
                known = " ".join(f"{{{field}}}" for field in _SHAPES)
                raise ValueError(f"a layout has no field {part}; fields are {known}")
            tokens.append(("field", name))
        elif "{" in part or "}" in part:
            raise ValueError("a brace in a layout opens or closes a field: there is one without its partner")
        elif part:
            tokens.append(("text", part))
    return tokens


def _check(fields: frozenset[str]) -> None:
    if {"Y", "y"} <= fields:
        raise ValueError("a layout names the year once: {Y} or {y}")
    start = {"Y" if name == "y" else name for name in fields} & set(_START)
    if "epoch" in fields and start:
        raise ValueError("a layout names the start once: {epoch} or calendar fields")
    _check_chain(start, _START)
    end = fields & set(_END)
    if end and not (start or "epoch" in fields):
        raise ValueError("a layout with an end needs a start")
    if end and "epoch" in fields:
        raise ValueError("a layout with {epoch} cannot name its end by calendar fields")
    if end & set(_END[:3]):
        _check_chain(end, _END)
    elif end:
        _check_chain(end, _END[3:])
        if "d" not in start:
            raise ValueError("a layout whose end has no date needs a start with {Y}, {m} and {d}")


def _check_chain(present: set[str] | frozenset[str], order: tuple[str, ...]) -> None:
    """Time fields are useful from the largest down without a gap: an hour without its day says nothing."""
    for larger, smaller in pairwise(order):
        if smaller in present and larger not in present:
            raise ValueError(f"a layout with {{{smaller}}} needs {{{larger}}} too")


def _expression(tokens: list[tuple[str, str]], *, lazy: bool) -> str:
    pieces: list[str] = []
    seen: set[str] = set()
    for kind, text in tokens:
        if kind == "text":
            pieces.append(re.escape(text))
        elif text in seen:
            pieces.append(f"(?P={text})")
        else:
            shape = _LAZY.get(text, _SHAPES[text]) if lazy else _SHAPES[text]
            pieces.append(f"({shape})" if text in _UNNAMED else f"(?P<{text}>{shape})")
            if text not in _UNNAMED:
                seen.add(text)
    return "".join(pieces)


def _epoch(text: str) -> tuple[datetime, datetime]:
    start = datetime.fromtimestamp(float(text), UTC)
    if start.year < EARLIEST_YEAR:
        raise ValueError
    return start, start + timedelta(seconds=1) - _MICROSECOND


def _moments(texts: Sequence[str | None]) -> tuple[datetime, datetime]:
    """First and last moment that these digits name, year first. Raises ``ValueError`` when there is no such time."""
    year, month, day, hour, minute, second = texts
    number = int(year or 0)
    if year is not None and len(year) == 2:
        number += 2000
    if number < EARLIEST_YEAR or number > 9998:
        raise ValueError
    if month is None:
        return datetime(number, 1, 1), datetime(number + 1, 1, 1) - _MICROSECOND  # noqa: DTZ001  # wall clock by design
    if day is None:
        start = datetime(number, int(month), 1)  # noqa: DTZ001  # wall clock by design
        return start, (start + timedelta(days=31)).replace(day=1) - _MICROSECOND
    start = datetime(number, int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))  # noqa: DTZ001  # see above
    if second is not None:
        return start, start + _SECOND
    length = timedelta(minutes=1) if minute is not None else timedelta(hours=1) if hour is not None else _DAY
    return start, start + length - _MICROSECOND


def _end_after(start: datetime, texts: list[str | None]) -> datetime:
    """The last moment of a named end; without a date, the first such time of day after the start."""
    if texts[0] is not None:
        end = _moments(texts)[1]
        if end < start:
            raise ValueError
        return end
    end = _moments([f"{start.year:04}", f"{start.month:02}", f"{start.day:02}", *texts[3:]])[1]
    return end if end >= start else end + _DAY


def _is_text(name: str) -> bool:
    """False for a name that is not UTF-8 on disk: Python hands such bytes on as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
