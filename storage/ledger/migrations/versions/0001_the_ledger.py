"""The ledger's first schema, with the triggers that make the database itself refuse changes to evidence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage import append_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "event": ("seq",),
    "schedule_version": ("digest",),
    "part": ("case_id", "number"),
    "intent": ("id",),
    "outcome": ("intent_id",),
    "hold_action": ("id",),
    "person": ("name",),
    "approval": ("id",),
    "certificate": ("id",),
}
"""Tables whose rows are written once, each with its primary key."""
NEVER_DELETED = {"case_file": ("id",), "hold": ("id",), "counter": ("name",)}
FROZEN = {
    "case_file": (
        "id",
        "record_type",
        "on_day",
        "schedule_digest",
        "manifest_digest",
        "items",
        "approval_kind",
        "opened_at",
        "opened_by",
        "opened_epoch",
        "survey",
        "brakes",
    ),
    "hold": ("id", "body", "placed_at", "provisional_until", "review_on", "epoch"),
    "counter": ("name",),
}
WRITTEN_ONCE = ("closed_at", "destroying_since", "cleared_by")
HOLD_STEPS = {
    "placing": ("provisional",),
    "provisional": ("active", "release-requested"),
    "active": ("release-requested",),
    "release-requested": ("in-grace", "active", "provisional"),
    "in-grace": ("released", "active", "provisional"),
    "released": (),
}
"""The ways of a hold: nothing but the end of its grace leads to *released*, and nothing leads back."""


def upgrade() -> None:
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
        comment="hold epoch, lease token; only ever grows",
    )
    op.create_table(
        "event",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_event")),
        comment="append-only, hash-chained",
    )
    op.create_index(op.f("ix_event_subject"), "event", ["subject"], unique=False)
    op.create_table(
        "hold",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("placed_at", sa.String(length=32), nullable=False),
        sa.Column("provisional_until", sa.String(length=32), nullable=True),
        sa.Column("grace_until", sa.String(length=32), nullable=True),
        sa.Column("review_on", sa.String(length=10), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
        comment="frozen, but for: state (only along the ways of a hold) and grace_until; body: scope and matter, sealed",
    )
    op.create_index(op.f("ix_hold_state"), "hold", ["state"], unique=False)
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=256), nullable=False),
        sa.Column("expires_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
        comment="who works on a record type now; the token fences off a worker that lost it",
    )
    op.create_table(
        "person",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("full_name", sa.String(length=256), nullable=False),
        sa.Column("title", sa.String(length=256), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("added_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_person")),
        sa.UniqueConstraint("public_key", name=op.f("uq_person_public_key")),
        comment="append-only in this version: staff with a signing key",
    )
    op.create_table(
        "schedule_version",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("first_used_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_schedule_version")),
        comment="append-only: the whole text of every schedule a case ran under",
    )
    op.create_table(
        "switch",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("engaged", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_switch")),
        comment="the kill switch",
    )
    op.create_table(
        "case_file",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("record_type", sa.String(length=128), nullable=False),
        sa.Column("on_day", sa.String(length=10), nullable=False),
        sa.Column("schedule_digest", sa.String(length=64), nullable=False),
        sa.Column("manifest_digest", sa.String(length=64), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("approval_kind", sa.String(length=32), nullable=False),
        sa.Column("opened_at", sa.String(length=32), nullable=False),
        sa.Column("opened_by", sa.String(length=128), nullable=False),
        sa.Column("opened_epoch", sa.Integer(), nullable=False),
        sa.Column("survey", sa.Text(), nullable=False),
        sa.Column("brakes", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("closed_at", sa.String(length=32), nullable=True),
        sa.Column("destroying_since", sa.String(length=32), nullable=True),
        sa.Column("cleared_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["schedule_digest"], ["schedule_version.digest"], name=op.f("fk_case_file_schedule_digest")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_file")),
        comment="frozen, but for: state (from started, once), closed_at, destroying_since and cleared_by (from empty, once)",
    )
    op.create_index(
        op.f("ix_case_file_record_type_state"), "case_file", ["record_type", "state"], unique=False
    )
    op.create_index(op.f("ix_case_file_state"), "case_file", ["state"], unique=False)
    op.create_table(
        "hold_action",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("hold_id", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("document_digest", sa.String(length=64), nullable=True),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name=op.f("fk_hold_action_hold_id")),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name=op.f("fk_hold_action_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold_action")),
        comment="append-only: who did what to a hold, signed",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_hold_action_hold_id"), "hold_action", ["hold_id"], unique=False)
    op.create_table(
        "approval",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("case_id", sa.String(length=40), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_approval_case_id")),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name=op.f("fk_approval_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
        comment="append-only: signed decisions about a case",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_approval_case_id"), "approval", ["case_id"], unique=False)
    op.create_table(
        "certificate",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("case_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("leaves_digest", sa.String(length=64), nullable=False),
        sa.Column("final_from", sa.String(length=10), nullable=True),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_certificate_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
        comment="append-only: signed envelopes; a later state is a new row",
    )
    op.create_index(op.f("ix_certificate_case_id"), "certificate", ["case_id"], unique=False)
    op.create_table(
        "intent",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("case_id", sa.String(length=40), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("staged", sa.Text(), nullable=False),
        sa.Column("witness", sa.String(length=80), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_intent_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intent")),
        comment="append-only: what a batch was about to destroy, written before it did",
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_intent_case_id_part_first"), "intent", ["case_id", "part", "first"], unique=False
    )
    op.create_table(
        "part",
        sa.Column("case_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("store", sa.String(length=128), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("first_ordinal", sa.Integer(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_part_case_id")),
        sa.PrimaryKeyConstraint("case_id", "number", name=op.f("pk_part")),
        comment="append-only: one location's share of a case's manifest",
    )
    op.create_table(
        "outcome",
        sa.Column("intent_id", sa.Integer(), nullable=False),
        sa.Column("codes", sa.Text(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["intent_id"], ["intent.id"], name=op.f("fk_outcome_intent_id")),
        sa.PrimaryKeyConstraint("intent_id", name=op.f("pk_outcome")),
        comment="append-only: what the read-back saw, one letter and one leaf per item",
    )
    refuse_changes()


def refuse_changes() -> None:
    for table in APPEND_ONLY:
        append_only.refuse(table, "UPDATE", f"{table} is append-only")
    for table, key in (APPEND_ONLY | NEVER_DELETED).items():
        append_only.refuse(table, "DELETE", f"{table} is append-only")
        append_only.refuse_replacing(table, key, *(["public_key"] if table == "person" else []))
    once = [
        f'(OLD."{column}" IS NOT NULL AND NEW."{column}" IS DISTINCT FROM OLD."{column}")'
        for column in WRITTEN_ONCE
    ]
    ended = "(OLD.state <> 'started' AND NEW.state <> OLD.state)"
    grace = "(NEW.state IN ('in-grace', 'released') AND NEW.grace_until IS NULL)"
    early = "(OLD.state IN ('in-grace', 'released') AND NEW.state = OLD.state AND NEW.grace_until IS DISTINCT FROM OLD.grace_until)"
    freeze("case_file", "an opened case is frozen", *once, ended)
    freeze("hold", "this way of a hold is frozen", *append_only.steps(HOLD_STEPS), grace, early)
    freeze("counter", "a counter is append-only: it never goes back", "NEW.value <= OLD.value")


def freeze(table: str, message: str, *refused: str) -> None:
    append_only.freeze(table, FROZEN[table], message, *refused)


def downgrade() -> None:
    raise RuntimeError("the ledger is evidence: it is never downgraded")
