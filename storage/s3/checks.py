"""Whether a location of a bucket is as the schedule says, and what in the bucket's settings gets in the way of it.

Nothing is vacuously true: what the store does not let us ask is told as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from retention.decide import Criteria
from retention.places import OBJECT_KINDS
from retention.schedule import Disposition
from storage.contract import Finding
from storage.files.checks import fatal, footage_findings, told
from storage.files.facts import Facts, tree_location
from storage.s3.failures import answered
from storage.s3.gate import Gate
from storage.s3.listing import uploads_page, versions_page
from storage.s3.locks import Locks
from storage.s3.row_batch import keeps_versions
from storage.s3.survey import prefix_of
from storage.s3.wire import Wire

_NONE = frozenset({
    "NoSuchLifecycleConfiguration", "ReplicationConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed", "404", "405", "501",
})  # fmt: skip
_GRANT = "give the program's user the permissions of docs/stores-s3.md"


def layout_findings(criteria: Criteria, facts: Facts) -> Iterator[Finding]:
    """What of the location's settings cannot work, or keeps more than meant."""
    location = facts.location
    if criteria.record_type.disposition is not Disposition.PURGE and location.rows is None:
        yield fatal(criteria, "objects can only be purged, not anonymized", 'write disposition = "purge"')
    if location.unit != "file":
        yield fatal(criteria, "objects go one by one: a bucket has no folders", "remove unit")
    of_rows = location.rows is not None and location.rows.trigger is not None
    if not of_rows and location.trigger_kind not in OBJECT_KINDS:
        yield fatal(criteria, "an object has no trigger of that kind", "use name, modified or registered")
    yield from footage_findings(criteria, facts)


def row_findings(criteria: Criteria, wire: Wire, locks: Locks) -> Iterator[Finding]:
    """What keeps rows from being taken out of objects. Raises `StoreUnavailable`."""
    if tree_location(criteria).rows is None:
        return
    if not keeps_versions(wire):
        message = (
            "rows cannot be taken out of objects without versioning: what is uploaded meanwhile would be lost"
        )
        yield fatal(criteria, message, "turn versioning on, or let the objects go whole")
    if locks.by_default:
        message = "the bucket locks every new object for a time: one that is written anew could not be put back when it went wrong"
        yield fatal(
            criteria, message, "take its default retention away (Object Lock), or let the objects go whole"
        )
    yield told(
        criteria, "a hold on rows keeps them from this program; it is not pushed down as a lock, which would keep everybody's rows",
        "keep the bucket's own lifecycle rules and other programs away from the location",
    )  # fmt: skip


def bucket_findings(criteria: Criteria, wire: Wire, locks: Locks, enforced: bool | None) -> Iterator[Finding]:
    """The bucket as a whole. ``enforced``: what the last canary showed. Raises `StoreUnavailable` when it does not answer."""
    prefix = prefix_of(wire, tree_location(criteria))
    if not versions_page(wire, prefix, ("", ""), 1).entries:
        yield told(
            criteria, "nothing is below the prefix of the location", "see whether bucket and prefix are right"
        )
    uploads_page(wire, prefix, ("", ""), 1)
    endpoint = urlsplit(wire.address.endpoint)
    if endpoint.scheme == "http" and endpoint.hostname not in ("127.0.0.1", "::1", "localhost"):
        yield told(
            criteria,
            "the store is reached without encryption: names of files can be read on the way",
            "use https",
        )
    yield from _versioning(criteria, wire)
    yield from _lifecycle(criteria, wire, prefix, locked=locks.enabled)
    yield from _replication(criteria, wire)
    yield from _lock_findings(criteria, locks, enforced)


def gate_findings(criteria: Criteria, gate: Gate) -> Iterator[Finding]:
    if not gate.works():
        yield fatal(
            criteria,
            "the file system of the gate's folder cannot lock a file, so no hold would be safe",
            "keep it on a local disk or on NFS 4",
        )


def _versioning(criteria: Criteria, wire: Wire) -> Iterator[Finding]:
    answer = wire.ask("get_bucket_versioning")
    if isinstance(answer, str):
        yield from _unasked(criteria, "versioning", "s3:GetBucketVersioning", answer)
        return
    if answer.get("MFADelete") == "Enabled":
        message = (
            "versions can only be deleted with a device code (MFA delete), which a program does not have"
        )
        yield fatal(criteria, message, "turn MFA delete off, or leave this bucket to a person")
    if answer.get("Status") == "Suspended":
        message = "versioning is suspended: old versions are there and new uploads replace one another"
        yield told(criteria, message, "turn versioning on")
    elif answer.get("Status") != "Enabled":
        message = "the bucket has no versioning: an object that is replaced at the moment of its deletion would be lost"
        yield told(criteria, message, "turn versioning on")


def _lifecycle(criteria: Criteria, wire: Wire, prefix: str, *, locked: bool) -> Iterator[Finding]:
    answer = wire.ask("get_bucket_lifecycle_configuration")
    if isinstance(answer, str):
        yield from _unasked(criteria, "lifecycle rules", "s3:GetLifecycleConfiguration", answer)
        return
    deleting = [rule for rule in answer.get("Rules", ()) if _deletes(rule) and _meets(rule, prefix)]
    if deleting:
        message = "a lifecycle rule of the bucket deletes here by itself, without asking for holds"
        remedy = (
            "holds are pushed down, which stops it; better remove the rule" if locked else "remove the rule"
        )
        yield told(criteria, message, remedy)


def _replication(criteria: Criteria, wire: Wire) -> Iterator[Finding]:
    answer = wire.ask("get_bucket_replication")
    if isinstance(answer, str):
        yield from _unasked(criteria, "replication", "s3:GetReplicationConfiguration", answer)
    elif any(
        rule.get("Status") == "Enabled"
        for rule in answer.get("ReplicationConfiguration", {}).get("Rules", ())
    ):
        message = "the bucket is replicated: what is deleted here lives on in the other bucket"
        yield told(criteria, message, "make the other bucket a store of its own")


def _lock_findings(criteria: Criteria, locks: Locks, enforced: bool | None) -> Iterator[Finding]:
    if not locks.enabled and locks.unasked:
        message = "whether the bucket has Object Lock cannot be asked for (s3:GetBucketObjectLockConfiguration): no hold is pushed down"
        yield told(criteria, message, _GRANT)
    elif not locks.enabled:
        message = "the bucket has no Object Lock: a hold keeps objects from this program, not from others"
        yield told(criteria, message, "make a bucket with Object Lock where holds must bind everybody")
    elif locks.by_default:
        message = "the bucket locks every new object for a time: what is due sooner waits until then"
        yield told(criteria, message, "compare its default retention with the schedule")
    elif enforced is False:
        message = "the store says it has Object Lock and deleted a locked canary object all the same"
        yield told(criteria, message, "do not rely on its locks; holds keep objects from this program only")
    elif enforced is None:
        message = "whether the store enforces its locks has not been seen yet"
        remedy = "retention doctor tries it with a canary object; it needs s3:PutObject and s3:PutObjectLegalHold below .retention-canary/"
        yield told(criteria, message, remedy)


def _unasked(criteria: Criteria, what: str, permission: str, code: str) -> Iterator[Finding]:
    if code in _NONE:
        return
    if code != "AccessDenied":
        raise answered(code)
    yield told(criteria, f"the {what} of the bucket cannot be asked for ({permission})", _GRANT)


def _deletes(rule: dict[str, Any]) -> bool:
    return rule.get("Status") == "Enabled" and ("Expiration" in rule or "NoncurrentVersionExpiration" in rule)


def _meets(rule: dict[str, Any], prefix: str) -> bool:
    """Whether a rule may concern what is below the prefix. One that chooses by tags or sizes may."""
    narrowed = rule.get("Filter", {})
    own = str(rule.get("Prefix") or narrowed.get("Prefix") or narrowed.get("And", {}).get("Prefix") or "")
    return own.startswith(prefix) or prefix.startswith(own)
