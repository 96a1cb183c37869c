"""What a certificate may say of a destruction in a database, and what it must not. Sources: docs/decisions/0003 and engines measured."""

from __future__ import annotations

from retention.decide import Criteria
from retention.schedule import Disposition
from storage.contract import Claim

_REMAINS = {
    "postgresql": (
        "The deleted values remain in the table's and indexes' pages until VACUUM FULL or pg_repack has run.",
        "They remain in the write-ahead log, its archive and standby servers until those are recycled or replaced.",
        "Samples of column values remain in the planner's statistics until ANALYZE and a rewrite of pg_statistic.",
    ),
    "mariadb": (
        "The deleted values remain in InnoDB pages until OPTIMIZE TABLE has run.",
        "They remain in the undo and redo logs until these are overwritten, and in the binary log until it is purged.",
    ),
    "sqlite": (
        "Deleted content was overwritten in the database file (secure_delete); remains in slack of its pages are possible until VACUUM.",
        "The journal or write-ahead log of the file may hold earlier content until its next full checkpoint.",
    ),
}
_ALWAYS = (
    "Backups, replicas and exports made before are not covered.",
    "No storage medium was sanitized.",
)
_TITLES = {"postgresql": "PostgreSQL", "mariadb": "MariaDB", "sqlite": "SQLite"}


def claim(backend: str, criteria: Criteria) -> Claim:
    """Deleting rows sanitises no medium and claims no method; clearing personal columns de-identifies."""
    engine = "mariadb" if backend == "mysql" else backend
    anonymizes = criteria.record_type.disposition is Disposition.ANONYMIZE
    return Claim(
        method="de-identify" if anonymizes else "none-claimed",
        technique=(
            f"{_TITLES[engine]}: personal columns cleared or replaced (UPDATE)"
            if anonymizes
            else f"{_TITLES[engine]}: rows deleted, with the rows that depend on them (DELETE)"
        ),
        verification="Read back by key in a new transaction after the commit, the rows that refer to it included.",
        not_claimed=(*_REMAINS[engine], *_ALWAYS),
    )
