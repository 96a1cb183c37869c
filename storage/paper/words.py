"""Words for what a certificate holds as codes, numbers and dates. The same on every machine: no locale, no time zone but UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime
from re import fullmatch

from retention.facts import AppliedRule, Method, Window

METHODS = {
    Method.DESTROY: "Destroy: the medium itself was destroyed.",
    Method.PURGE: "Purge: made infeasible to recover with state-of-the-art laboratory techniques.",
    Method.CRYPTOGRAPHIC_ERASE: "Cryptographic erase: what was stored is encrypted, and the keys that open it were destroyed.",
    Method.CLEAR: "Clear: made infeasible to recover with ordinary tools.",
    Method.DE_IDENTIFY: "De-identify: personal data was removed or replaced in what remains.",
    Method.NONE_CLAIMED: "Deleted from the systems named. No sanitization of any storage medium is claimed.",
}
"""In the sense of NIST SP 800-88."""

MEDIA = {
    "paper": "Paper",
    "hard-disk": "Hard disk",
    "solid-state-disk": "Solid-state disk",
    "thumb-drive": "Thumb drive",
    "memory-card": "Memory card",
    "optical-disc": "Optical disc",
    "floppy": "Floppy disk",
    "tape": "Tape",
    "laptop": "Laptop",
    "phone": "Phone",
    "other": "Other",
}

CUTOFFS = {
    "day": "counted from the end of that day",
    "month": "counted from the end of that month",
    "fiscal-year": "counted from the end of that fiscal year",
    "event": "counted from that event",
}

APPROVALS = {
    "standing": "By standing approval: the schedule itself.",
    "custodian": "By a custodian.",
    "two-person": "By two different people.",
}


def rule(one: AppliedRule, trigger: str, cutoff: str) -> str:
    """One rule with its authority, in words."""
    least = period(one.minimum)
    kept = f"Kept at least {least}" if least else "No minimum"
    if one.maximum is not None:
        kept += f" and at most {period(one.maximum) or 'no time at all'}" if least else f"; kept at most {period(one.maximum) or 'no time at all'}"  # fmt: skip
    series = f", series {one.series}" if one.series else ""
    return f"{kept} after “{trigger}”, {CUTOFFS.get(cutoff, cutoff)}. Authority: {one.citation}{series}."


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def day(value: date) -> str:
    """ "November 20, 2026", whatever the machine's language is."""
    return f"{_MONTHS[value.month - 1]} {value.day}, {value.year}"


_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")  # fmt: skip


def moment(value: datetime) -> str:
    """ "November 20, 2026, 10:00:30 UTC"."""
    value = value.astimezone(UTC)
    return f"{day(value.date())}, {value:%H:%M:%S} UTC"


def span(started: datetime, ended: datetime) -> str:
    first, last = started.astimezone(UTC).date(), ended.astimezone(UTC).date()
    return day(first) if first == last else f"{day(first)} to {day(last)}"


def until(window: Window) -> str:
    """Until when a copy remains."""
    return "without a known end" if window.until is None else f"until {day(window.until)}"


def count(number: int, one: str) -> str:
    """ "1 key", "2,000 keys"."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def period(duration: str) -> str:
    """ "1 year and 6 months" of ``P1Y6M``; empty for none; what is no such period as it stands."""
    found = fullmatch(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?", duration)
    if found is None or not any(found.groups()):
        return duration
    parts = [count(int(number), unit) for number, unit in zip(found.groups(), ("year", "month", "day"), strict=True) if int(number or 0)]  # fmt: skip
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def size(octets: int) -> str:
    """ "1.2 GB": decimal units, one place."""
    if octets < 1000:
        return count(octets, "byte")
    value, unit = octets / 1000, "kB"
    for larger in ("MB", "GB", "TB", "PB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.1f} {unit}"


def length(seconds: int) -> str:
    """ "3 h 20 min"."""
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"
