"""A small sound schedule as text, and ways to break one line of it."""

SOUND = """\
version = "1"
[library]
organization = "Cedar Valley Library District"
custodian = "Library Director"
time-zone = "America/Denver"
fiscal-year-start = "07-01"
[store.ils]
kind = "database"
title = "ILS"
[store.cams]
kind = "footage"
title = "Cameras"
[record-type.loans]
title = "Loans"
description = "Who borrowed what"
authority = "Loan law"
owner = "Circulation"
personal-data = ["patron"]
trigger = "returned"
cutoff = "day"
minimum = "P30D"
maximum = "P1Y"
disposition = "purge"
approval = "custodian"
cooling-off = "P1D"
limits = { records = 100, percent = 10, jump = 3 }
effective-from = 2026-01-01
effective-until = 2030-12-31
[[record-type.loans.rule]]
id = "claimed"
when = "status = 'claimed'"
authority = { citation = "Claims policy", series = "C-1" }
minimum = "P60D"
[[record-type.loans.location]]
name = "loans"
store = "ils"
table = "action.loans"
key = "id"
trigger-column = "returned"
trigger-kind = "timestamp"
time-zone = "UTC"
subject = "patron"
branch = "branch"
span-start = "opened"
span-end = "returned"
consent = "opted_in"
blocked = "barred = true"
[[record-type.loans.location.blocked-by]]
name = "bill"
table = "money.bills"
column = "loan"
matches = "id"
where = "owed > 0"
[[record-type.loans.location.dependent]]
table = "action.notices"
column = "loan"
[[record-type.loans.location.dependent]]
table = "action.texts"
column = "notice"
parent = "action.notices"
parent-column = "id"
soft = true
[[record-type.loans.example]]
on = 2026-03-01
trigger = "2026-01-01T12:00:00"
fields = { opted_in = false, barred = false, status = "in" }
expect = "due"
[record-type.footage]
title = "Footage"
description = "Entrances"
authority = "Camera policy"
owner = "Facilities"
personal-data = ["images"]
trigger = "recorded"
cutoff = "month"
minimum = "P14D"
disposition = "purge"
approval = "standing"
limits = { percent = 50.5 }
effective-from = "2026-01-01"
[[record-type.footage.location]]
name = "recordings"
store = "cams"
path = "recordings"
template = "{Y}-{m}-{d}/{H}/{camera}/{M}.{S}.mp4"
trigger-kind = "name"
time-zone = "library"
max-length = "PT60S"
settle = 300
subject = "unknown"
camera.entrance = { branch = "main", drift = "PT2M" }
[[exempt]]
store = "ils"
what = "action.aged_loans"
reason = "statistics"
"""

LINES = SOUND.splitlines()


def line_of(text: str) -> int:
    """The line, counted from 1, that begins with this text; there is exactly one."""
    (found,) = [number for number, line in enumerate(LINES, start=1) if line.startswith(text)]
    return found


def without(line: int) -> str:
    """The schedule without that line."""
    return "\n".join(LINES[: line - 1] + LINES[line:]) + "\n"


def with_line(line: int, text: str) -> str:
    """The schedule with another text (perhaps of several lines) on that line."""
    return "\n".join([*LINES[: line - 1], text, *LINES[line:]]) + "\n"
