"""The ledger's tables. Times are ISO 8601 text in UTC with microseconds, so that both engines sort them alike.

No personal data stands here in the clear: a hold's scope and matter are sealed (`storage.ledger.sealing`), records appear
as positions in a case's manifest, people are staff.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SIGNATURE = String(128).with_variant(Text(), "postgresql")
"""A person's signature as text. SQLite keeps to no length; PostgreSQL does, and a passkey's assertion is longer than 128."""

event = Table(
    "event",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index(None, "subject"),
    comment="append-only, hash-chained",
)

schedule_version = Table(
    "schedule_version",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("version", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("first_used_at", String(32), nullable=False),
    comment="append-only: the whole text of every schedule a case ran under",
)

case_file = Table(
    "case_file",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("record_type", String(128), nullable=False),
    Column("on_day", String(10), nullable=False),
    Column("schedule_digest", String(64), ForeignKey("schedule_version.digest"), nullable=False),
    Column("manifest_digest", String(64), nullable=False),
    Column("items", Integer, nullable=False),
    Column("approval_kind", String(32), nullable=False),
    Column("opened_at", String(32), nullable=False),
    Column("opened_by", String(128), nullable=False),
    Column("opened_epoch", Integer, nullable=False),
    Column("survey", Text, nullable=False),
    Column("brakes", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("closed_at", String(32)),
    Column("destroying_since", String(32)),
    Column("cleared_by", Text),
    Index(None, "record_type", "state"),
    Index(None, "state"),
    Index(None, "opened_at", "id"),
    comment="frozen, but for: state (from started, once), closed_at, destroying_since and cleared_by (from empty, once)",
)

part = Table(
    "part",
    metadata,
    Column("case_id", String(40), ForeignKey("case_file.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("location", String(128), nullable=False),
    Column("store", String(128), nullable=False),
    Column("items", Integer, nullable=False),
    Column("first_ordinal", Integer, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    comment="append-only: one location's share of a case's manifest",
)

intent = Table(
    "intent",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("case_id", String(40), ForeignKey("case_file.id"), nullable=False),
    Column("part", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("first", Integer, nullable=False),
    Column("items", Integer, nullable=False),
    Column("staged", Text, nullable=False),
    Column("witness", String(80), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("at", String(32), nullable=False),
    Index(None, "case_id", "part", "first"),
    sqlite_autoincrement=True,
    comment="append-only: what a batch was about to destroy, written before it did",
)

outcome = Table(
    "outcome",
    metadata,
    Column("intent_id", Integer, ForeignKey("intent.id"), primary_key=True),
    Column("codes", Text, nullable=False),
    Column("leaves", LargeBinary, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("at", String(32), nullable=False),
    comment="append-only: what the read-back saw, one letter and one leaf per item",
)

hold = Table(
    "hold",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("state", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("placed_at", String(32), nullable=False),
    Column("provisional_until", String(32)),
    Column("grace_until", String(32)),
    Column("review_on", String(10)),
    Column("epoch", Integer, nullable=False),
    Index(None, "state"),
    comment="frozen, but for: state (only along the ways of a hold) and grace_until; body: scope and matter, sealed",
)

hold_action = Table(
    "hold_action",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("hold_id", String(40), ForeignKey("hold.id"), nullable=False),
    Column("action", String(32), nullable=False),
    Column("person", String(128), ForeignKey("person.name"), nullable=False),
    Column("document_digest", String(64)),
    Column("statement", Text, nullable=False),
    Column("signature", SIGNATURE, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("at", String(32), nullable=False),
    Index(None, "hold_id"),
    sqlite_autoincrement=True,
    comment="append-only: who did what to a hold, signed",
)

hold_revision = Table(
    "hold_revision",
    metadata,
    Column("hold_id", String(40), ForeignKey("hold.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    Column("review_on", String(10)),
    Column("epoch", Integer, nullable=False),
    Column("at", String(32), nullable=False),
    comment="append-only: a hold widened, narrowed or otherwise corrected; the highest number counts; body: sealed",
)

person = Table(
    "person",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("full_name", String(256), nullable=False),
    Column("title", String(256), nullable=False),
    Column("role", String(32), nullable=False),
    Column("public_key", String(64), nullable=False, unique=True),
    Column("added_at", String(32), nullable=False),
    comment="append-only in this version: staff with a signing key",
)

person_step = Table(
    "person_step",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("person", String(128), ForeignKey("person.name"), nullable=False),
    Column("step", String(32), nullable=False),
    Column("value", String(256), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("at", String(32), nullable=False),
    Index(None, "person"),
    sqlite_autoincrement=True,
    comment="append-only: role given, disabled, enabled, code of ethics acknowledged, passkey retired; the last of its step counts",
)

passkey = Table(
    "passkey",
    metadata,
    Column("credential", String(1400), primary_key=True),
    Column("person", String(128), ForeignKey("person.name"), nullable=False),
    Column("public_key", String(256), nullable=False, unique=True),
    Column("label", String(128), nullable=False),
    Column("added_at", String(32), nullable=False),
    Index(None, "person"),
    comment="append-only: passkeys that sign for a person; retired by a step of the person",
)

approval = Table(
    "approval",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("case_id", String(40), ForeignKey("case_file.id"), nullable=False),
    Column("person", String(128), ForeignKey("person.name"), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("statement", Text, nullable=False),
    Column("signature", SIGNATURE, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("at", String(32), nullable=False),
    Index(None, "case_id"),
    sqlite_autoincrement=True,
    comment="append-only: signed decisions about a case",
)

item_exception = Table(
    "item_exception",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("case_id", String(40), ForeignKey("case_file.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("reason", LargeBinary, nullable=False),
    Column("person", String(128), ForeignKey("person.name"), nullable=False),
    Column("statement", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("at", String(32), nullable=False),
    Index(None, "case_id"),
    sqlite_autoincrement=True,
    comment="append-only: items of a case that a person took out; ordinal: position in the manifest; reason: sealed",
)

ruling = Table(
    "ruling",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("record_type", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("until", String(10)),
    Column("person", String(128), ForeignKey("person.name"), nullable=False),
    Column("statement", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Index(None, "record_type"),
    sqlite_autoincrement=True,
    comment="append-only: decisions on a record type: standing approval proposed, agreed, revoked; disposition extended to a day",
)

certificate = Table(
    "certificate",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("case_id", String(40), ForeignKey("case_file.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("leaves_digest", String(64), nullable=False),
    Column("final_from", String(10)),
    Column("at", String(32), nullable=False),
    Index(None, "case_id"),
    Index(None, "at", "id"),
    comment="append-only: signed envelopes; a later state is a new row",
)

log_entry = Table(
    "log_entry",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("at", String(32), nullable=False),
    Index(None, "subject"),
    comment="append-only: what stands in the transparency log, in its order",
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("token", Integer, nullable=False),
    Column("owner", String(256), nullable=False),
    Column("expires_at", String(32), nullable=False),
    comment="who works on a record type now; the token fences off a worker that lost it",
)

counter = Table(
    "counter",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", Integer, nullable=False),
    comment="hold epoch, lease token; only ever grows",
)

export = Table(
    "export",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("mark", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", String(32), nullable=False),
    Index(None, "mark"),
    comment="append-only: exports that left the ILS; mark: keyed digest of the place; body: all that is known, sealed",
)

export_step = Table(
    "export_step",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("export_id", String(40), ForeignKey("export.id"), nullable=False),
    Column("step", String(32), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("document_digest", String(64)),
    Column("at", String(32), nullable=False),
    Index(None, "export_id"),
    sqlite_autoincrement=True,
    comment="append-only: our copy gone, attestation asked of the recipient, attested",
)

withdrawal = Table(
    "withdrawal",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("mark", String(64), nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("at", String(32), nullable=False),
    Index(None, "mark"),
    sqlite_autoincrement=True,
    comment="append-only: who withdrew consent, or gave it again, as a keyed digest; the last row of a mark counts",
)

media_lot = Table(
    "media_lot",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("at", String(32), nullable=False),
    comment="append-only: physical media to be destroyed together; body: sealed",
)

media_step = Table(
    "media_step",
    metadata,
    Column("lot_id", String(40), ForeignKey("media_lot.id"), primary_key=True),
    Column("step", String(32), primary_key=True),
    Column("person", String(128), ForeignKey("person.name"), nullable=False),
    Column("statement", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("at", String(32), nullable=False),
    comment="append-only: planned, approved, attested, witnessed, each once and signed",
)

switch = Table(
    "switch",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("engaged", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(128), nullable=False),
    Column("at", String(32), nullable=False),
    comment="the kill switch",
)

account = Table(
    "account",
    metadata,
    Column("person", String(128), ForeignKey("person.name"), primary_key=True),
    Column("password", String(256)),
    Column("oidc_subject", String(512), unique=True),
    Column("changed_at", String(32), nullable=False),
    comment="how a person signs in to the console; no evidence. password: argon2id",
)

invitation = Table(
    "invitation",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("person", String(128), ForeignKey("person.name"), nullable=False),
    Column("expires_at", String(32), nullable=False),
    comment="one-time codes to set a password or passkey with, as digests; no evidence",
)

session = Table(
    "session",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("person", String(128), ForeignKey("person.name"), nullable=False),
    Column("how", String(16), nullable=False),
    Column("made_at", String(32), nullable=False),
    Column("seen_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False),
    Column("id_token", LargeBinary),
    Index(None, "person"),
    comment="who is signed in to the console, as digests of their cookies; no evidence",
)

draft = Table(
    "draft",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("person", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("expires_at", String(32), nullable=False),
    Column("done_at", String(32)),
    Index(None, "person"),
    comment="forms on their way: typed before a session ended, or waiting for a signature; body: sealed; no evidence",
)

question = Table(
    "question",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("person", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("asked_at", String(32), nullable=False),
    Column("answer", LargeBinary),
    Column("answered_at", String(32)),
    Index(None, "answered_at"),
    comment="what a page wants to know of the stores, which it does not reach: asked here, answered by the keeper of holds; sealed; no evidence",
)

look = Table(
    "look",
    metadata,
    Column("person", String(128), primary_key=True),
    Column("subject", String(64), primary_key=True),
    Column("seen", Text, nullable=False),
    Column("at", String(32), nullable=False),
    comment="what a person saw of a case when they last looked; no evidence",
)

attempt = Table(
    "attempt",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("until", String(32), nullable=False),
    comment="failed sign-ins, counted by keyed digests of name and address; no evidence",
)
