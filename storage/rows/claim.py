"""What a certificate may say of rows that were taken out of files."""

from __future__ import annotations

from retention.decide import Criteria
from retention.schedule import Disposition
from storage.contract import Claim

_NOT_CLAIMED = (
    "The bytes of the file's earlier content remain on the medium until the file system uses the space again.",
    "Snapshots, backups, replicas and copies of the file, among them those that were sent to its recipient, are not covered.",
    "A program that had the file open could read its earlier content until it closed it.",
)


def claim(criteria: Criteria) -> Claim:
    """The claim of a location whose records are rows."""
    verification = "the new file read to its end, once aside and once more in its place along a new path from the root of the store"
    if criteria.record_type.disposition is Disposition.ANONYMIZE:
        return Claim(
            method="de-identify",
            technique="the named columns of the rows changed by writing their files anew and exchanging them in one step",
            verification=verification,
            not_claimed=(
                "Columns that the schedule does not name were left as they were.",
                *_NOT_CLAIMED,
            ),
        )
    return Claim(
        method="none-claimed",
        technique="rows left out by writing their files anew and exchanging them in one step; medium not sanitised",
        verification=verification,
        not_claimed=_NOT_CLAIMED,
    )
