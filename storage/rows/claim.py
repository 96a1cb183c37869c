"""What a certificate may say of rows that were taken out of files."""

from __future__ import annotations

from retention.decide import Criteria
from retention.schedule import Disposition
from storage.contract import Claim

_COLUMNS = ("Columns that the schedule does not name were left as they were.",)
_NOT_CLAIMED = (
    "The bytes of the file's earlier content remain on the medium until the file system uses the space again.",
    "Snapshots, backups, replicas and copies of the file, among them those that were sent to its recipient, are not covered.",
    "A program that had the file open could read its earlier content until it closed it.",
)


_NOT_CLAIMED_IN_A_BUCKET = (
    "Replicas in other buckets, regions or accounts, backups, and copies of the object, among them those that were sent to its recipient, are not covered.",
    "The media of the provider are not sanitised by deleting, and when it reuses their space is not known.",
    "A reader that had begun to fetch the earlier version could go on to its end.",
)


def claim(criteria: Criteria, *, in_bucket: bool = False) -> Claim:
    """The claim of a location whose records are rows."""
    changed = criteria.record_type.disposition is Disposition.ANONYMIZE
    if in_bucket:
        what = "the named columns of the rows changed" if changed else "rows left out"
        return Claim(
            method="de-identify" if changed else "none-claimed",
            technique=f"{what} by writing a new version of their object; then every earlier version, delete marker and upload at its key deleted"
            + ("" if changed else "; media not sanitised"),
            verification="the new version read to its end before the earlier ones were deleted, and whatever was listed at the key read again after it",
            not_claimed=_COLUMNS * changed + _NOT_CLAIMED_IN_A_BUCKET,
        )
    verification = "the new file read to its end, once aside and once more in its place along a new path from the root of the store"
    if changed:
        return Claim(
            method="de-identify",
            technique="the named columns of the rows changed by writing their files anew and exchanging them in one step",
            verification=verification,
            not_claimed=_COLUMNS + _NOT_CLAIMED,
        )
    return Claim(
        method="none-claimed",
        technique="rows left out by writing their files anew and exchanging them in one step; medium not sanitised",
        verification=verification,
        not_claimed=_NOT_CLAIMED,
    )
