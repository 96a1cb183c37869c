"""``scan``: what personal data lies where nobody registered it. Prints counts and places, never a value."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from console.cli import words
from console.cli.answer import Answer, Line, Table, bad, doubtful, good
from console.cli.documents import read_subjects
from console.cli.options import Flag, Here, Json, Pipe
from console.cli.progress import reporting
from console.cli.site import opened
from flows.scans import places_to_scan
from flows.scans import scan as run_scan
from retention.errors import UsageError
from storage.scanning.scan import Cover, Report, Result

SOMETHING = 3
_TELLING = re.compile(r"\d{5,}|[^/\s]+@[^/\s]+")


def scan(
    *places: Annotated[
        str,
        Parameter(
            help="Files, folders, names of bucket stores, s3://bucket/prefix; by default RETENTION_SCAN_PATHS, else all file and bucket stores."
        ),
    ],
    whole: Annotated[
        bool, Flag, Parameter(help="Read large files whole, not head, tail and blocks by chance between.")
    ] = False,
    known: Annotated[
        bool, Flag, Parameter(help="Also look for people whose records were destroyed (see --remember).")
    ] = False,
    remember: Annotated[
        Path | None,
        Pipe,
        Parameter(
            help="Do not scan: remember these card numbers or addresses, one per line, as keyed digests. - is standard input."
        ),
    ] = None,
    mask: Annotated[bool, Flag, Parameter(help="Name files by a mask instead of their path.")] = False,
    all_: Annotated[
        bool, Flag, Parameter(name="--all", help="Also files that somebody answers for.")
    ] = False,
    json: Json = False,
    session: Here,
) -> Answer:
    with opened(session) as site:
        if remember is not None:
            if places:
                raise UsageError("--remember does not scan", "give the places in a second command")
            added = site.known.remember(read_subjects(session, remember))
            sentence = f"{words.plural(added, 'value')} remembered, {site.known.size:,} in all"
            return Answer(
                command="scan.remember",
                body={"added": added, "known": site.known.size},
                lines=[good(sentence)],
            )
        if known and not site.known.size:
            raise UsageError("nobody is known yet", "retention scan --remember FILE")
        with reporting(session, execute=False) as reporter:
            report = run_scan(
                site, places_to_scan(site, places), whole=whole, known=known, progress=reporter.scanning
            )
    shown = [one for one in report.results if all_ or one.alarm or one.drift]
    lines = _lines(report, shown, masked=mask)
    body = {
        "files": report.files, "bytes": report.size, "unread": report.unread, "alarms": len(report.alarms),
        "results": [_facts(one, masked=mask) for one in shown],
    }  # fmt: skip
    return Answer(command="scan", body=body, lines=lines, exit_code=SOMETHING if report.alarms else 0)


def _lines(report: Report, shown: list[Result], *, masked: bool) -> list[Line]:
    heads = ("file", "holds", "answers", "new")
    rows = [(_name(one, masked=masked), _kinds(one), one.cover.value, ", ".join(one.drift)) for one in shown]
    lines: list[Line] = [Table(heads=heads, rows=rows)] if rows else []
    looked = f"{words.plural(report.files, 'file')} looked through"
    if report.alarms:
        late = sum(one.cover is Cover.OVERDUE for one in report.alarms)
        counts = (
            (len(report.alarms) - late, "that nobody answers for"),
            (late, "whose day to be gone has passed"),
        )
        told = ", ".join(
            f"{words.plural(count, 'file')} with personal data {what}" for count, what in counts if count
        )
        lines.append(bad(f"{looked}; {told}"))
    elif not report.files and not report.unread:
        lines.append(doubtful("no file was looked through: nothing lies there, so nothing is said of it"))
    else:
        lines.append(good(f"{looked}; nothing that nobody answers for"))
    lines += [
        f"not looked into: {words.plural(count, 'file')}: {reason}"
        for reason, count in sorted(report.unread.items())
    ]
    return lines


def _kinds(one: Result) -> str:
    known = ", ".join(f"{kind.value} {count:,}" for kind, count in one.found.kinds.items())
    return f"{known} (sampled)" if one.found.sampled else known


def _facts(one: Result, *, masked: bool) -> dict[str, Any]:
    return {
        "file": _name(one, masked=masked), "mask": one.mask, "bytes": one.size, "alarm": one.alarm, "answers": one.cover.value,
        "kinds": {kind.value: count for kind, count in one.found.kinds.items()}, "sampled": one.found.sampled,
        "new": [drift.value for drift in one.drift], "first_seen": one.first_seen,
    }  # fmt: skip


def _name(one: Result, *, masked: bool) -> str:
    """A path or key without what in it may itself be a card number or an address."""
    return one.mask if masked else _TELLING.sub("…", one.path)
