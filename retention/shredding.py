"""What a schedule may ask of crypto-shredding: the key dies, and nobody looks at what it sealed.

Refuses whatever would need the record itself to decide. Sealed records are registered with the day of their trigger and nothing
else in the clear, and the records of a period go together: a condition on one of them could be asked by nobody.
"""

from __future__ import annotations

from retention.positions import Path
from retention.problems import quote
from retention.reading import Report
from retention.schedule import Cutoff, RecordType, TableLocation, TreeLocation

_UNASKED = "records with disposition crypto-shred are sealed: nobody can ask them for a column"


def check(record_type: RecordType, path: Path, report: Report) -> None:
    """Every contradiction of a record type whose disposition is crypto-shred."""
    if record_type.cutoff is Cutoff.EVENT:
        message = "the closing event is not known yet when a record is sealed"
        report.add((*path, "cutoff"), "P035", message, 'use cutoff = "day", "month" or "fiscal-year"')
    for index, _ in enumerate(record_type.rules[1:]):
        hint = "give what has another period a record type of its own"
        report.add((*path, "rule", index, "when"), "P035", _UNASKED, hint)
    for index, location in enumerate(record_type.locations):
        here = (*path, "location", index)
        for key, condition in (("consent", location.consent), ("blocked", location.blocked)):
            if condition is not None:
                hint = "what must go earlier is withdrawn by name: retention withdraw"
                report.add((*here, key), "P035", _UNASKED, hint)
        if isinstance(location, TreeLocation):
            _tree(location, here, report)
        else:
            _table(location, here, report)


def _tree(location: TreeLocation, path: Path, report: Report) -> None:
    if location.unit != "file":
        report.add((*path, "unit"), "P035", "only single files are sealed", 'use unit = "file"')
    if location.rows is not None:
        message = "what is sealed goes whole: nobody can ask it for a row"
        report.add((*path, "rows"), "P035", message, "remove it, or purge these rows instead")
    if location.vault:
        message = "what is sealed needs no vault: a hold keeps its key, and the sealed file with it"
        report.add((*path, "vault"), "P035", message, "remove it")


def _table(location: TableLocation, path: Path, report: Report) -> None:
    if not location.sealed:
        message = "crypto-shred of a table without sealed destroys nothing"
        report.add(path, "P035", message, 'name the columns whose values are sealed: sealed = ["note"]')
    if location.subject in ("none", "unknown"):
        message = "there is one key per patron and period, and this location names no patron"
        report.add((*path, "subject"), "P035", message, "name the column with the patron's id")
    if location.relations:
        report.add((*path, "blocked-by"), "P035", _UNASKED, "remove it")
    if location.dependents:
        message = "the rows stay, only their sealed values become unreadable: nothing goes with them"
        report.add((*path, "dependent"), "P035", message, "remove it, or purge these rows instead")
    readable = {
        location.key: "the key",
        location.trigger: "the trigger",
        location.subject: "the subject",
        location.branch: "the branch",
        location.span_start: "the span",
        location.span_end: "the span",
        location.created: "when the row came into being",
    }
    for name in dict.fromkeys(location.sealed):
        if name in readable:
            message = f"{quote(name)} is {readable[name]} and must stay readable"
            report.add(
                (*path, "sealed"), "P035", message, "seal what identifies or describes a person instead"
            )
        if location.sealed.count(name) > 1:
            report.add((*path, "sealed"), "P035", f"{quote(name)} is named twice", "name it once")
