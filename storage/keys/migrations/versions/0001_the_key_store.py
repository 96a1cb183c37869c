"""The key store: tables, and the triggers that refuse to change its journals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage import append_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = {"destruction": ("id",), "event": ("id",), "rotation_step": ("rotation", "step")}
NEVER_DELETED = {"counter": ("name",), "root": ("id",), "holder": ("id",), "sealed_object": ("id",)}
FROZEN = {
    "counter": ("name",),
    "root": ("id", "number", "kind", "made_at"),
    "holder": ("id", "kind", "record_type", "location", "store", "period", "made_at"),
    "sealed_object": (
        "id",
        "kid",
        "record_type",
        "location",
        "store",
        "period",
        "trigger",
        "size",
        "seconds",
        "plaintext_since",
    ),
}
ROOT_STEPS = {
    "making": ("current", "retired"),
    "current": ("retired",),
    "retired": ("scheduled", "gone"),
    "scheduled": ("retired", "gone"),
    "gone": (),
}
OBJECT_STEPS = {
    "sealing": ("sealed", "destroyed"),
    "sealed": ("withdrawn", "destroyed"),
    "withdrawn": ("destroyed",),
    "destroyed": (),
}
"""What was destroyed never comes back to life."""


def upgrade() -> None:
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
        comment="epoch (every change of wraps) and seq (objects finished); only ever grows",
    )
    op.create_table(
        "destruction",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("witness", sa.String(length=80), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("kid", sa.String(length=32), nullable=False),
        sa.Column("born", sa.Integer(), nullable=False),
        sa.Column("root", sa.Integer(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("unsealed_before", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_destruction")),
        comment="append-only: keys destroyed by the choke point; born..root: numbers of the roots that wrapped them, ever",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_destruction_root"), "destruction", ["root"], unique=False)
    op.create_index(op.f("ix_destruction_witness"), "destruction", ["witness"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("child", sa.String(length=40), nullable=False),
        sa.Column("wrapper", sa.String(length=40), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        comment="append-only: what happened to wraps, by ids only",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "holder",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("record_type", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("store", sa.String(length=128), nullable=False),
        sa.Column("period", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("kid", sa.String(length=32), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("trigger_first", sa.String(length=40), nullable=True),
        sa.Column("trigger_last", sa.String(length=40), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("unsealed_before", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("born", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holder")),
        comment="a cohort, or the key of a hold; kid: its key now; born: number of the root when the oldest key below it was made",
    )
    op.create_index(
        "uq_holder_living_cohort",
        "holder",
        ["record_type", "location", "period"],
        unique=True,
        sqlite_where=sa.text("kind = 'cohort' AND state = 'living'"),
        postgresql_where=sa.text("kind = 'cohort' AND state = 'living'"),
    )
    op.create_table(
        "looked",
        sa.Column("hold", sa.String(length=40), nullable=False),
        sa.Column("record_type", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("terms", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hold", "record_type", "location", name=op.f("pk_looked")),
        comment="up to which object (seq) the push-down of a hold has looked, and under which terms",
    )
    op.create_table(
        "note",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_note")),
        comment="what is outstanding: the truncation of SQLite's log",
    )
    op.create_table(
        "root",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("kid", sa.String(length=32), nullable=False),
        sa.Column("made_at", sa.String(length=32), nullable=False),
        sa.Column("until", sa.String(length=32), nullable=True),
        sa.Column("gone_at", sa.String(length=32), nullable=True),
        sa.Column("gone_by", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_root")),
        sa.UniqueConstraint("number", name=op.f("uq_root_number")),
        comment="versions of the root, newest has the highest number; reference: the KMS key, no secret; body: the KMS's share, encrypted by it",
    )
    op.create_table(
        "rotation_step",
        sa.Column("rotation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("rotation", "step", name=op.f("pk_rotation_step")),
        comment="append-only: the journal of rotations",
    )
    op.create_table(
        "wrap",
        sa.Column("child", sa.String(length=32), nullable=False),
        sa.Column("wrapper", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=8), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("child", "wrapper", name=op.f("pk_wrap")),
        comment="a key wrapped by another: cohort and hold keys by a root, data keys by cohort and hold keys",
    )
    op.create_index(op.f("ix_wrap_wrapper"), "wrap", ["wrapper"], unique=False)
    op.create_table(
        "sealed_object",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("kid", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("cohort", sa.String(length=40), nullable=True),
        sa.Column("record_type", sa.String(length=128), nullable=False),
        sa.Column("location", sa.String(length=128), nullable=False),
        sa.Column("store", sa.String(length=128), nullable=False),
        sa.Column("period", sa.String(length=32), nullable=False),
        sa.Column("trigger", sa.String(length=40), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sealed_size", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("plaintext_since", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("born", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["cohort"], ["holder.id"], name=op.f("fk_sealed_object_cohort")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sealed_object")),
        sa.UniqueConstraint("kid", name=op.f("uq_sealed_object_kid")),
        comment="the registry; facts: subject, camera, branch and span, sealed with the object's own key",
    )
    op.create_index(op.f("ix_sealed_object_cohort"), "sealed_object", ["cohort"], unique=False)
    op.create_index(
        op.f("ix_sealed_object_record_type_location_seq"),
        "sealed_object",
        ["record_type", "location", "seq"],
        unique=False,
    )
    op.create_table(
        "wrapping_key",
        sa.Column("kid", sa.String(length=32), nullable=False),
        sa.Column("holder", sa.String(length=40), nullable=False),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["holder"], ["holder.id"], name=op.f("fk_wrapping_key_holder")),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_wrapping_key")),
        comment="living keys of holders; dirty: a child left it, so it must be replaced before the next root",
    )
    op.create_index(op.f("ix_wrapping_key_holder"), "wrapping_key", ["holder"], unique=False)
    refuse_changes()


def refuse_changes() -> None:
    for table in APPEND_ONLY:
        append_only.refuse(table, "UPDATE", f"{table} is append-only")
    for table, key in (APPEND_ONLY | NEVER_DELETED).items():
        append_only.refuse(table, "DELETE", f"{table} is append-only")
        append_only.refuse_replacing(
            table,
            key,
            *(["number"] if table == "root" else []),
            *(["kid"] if table == "sealed_object" else []),
        )
    freeze("counter", "a counter is append-only: it never goes back", "NEW.value <= OLD.value")
    freeze("root", "this way of a root is frozen", *append_only.steps(ROOT_STEPS))
    freeze("holder", "a destroyed key is frozen", "(OLD.state = 'destroyed')")
    freeze("sealed_object", "this way of a sealed object is frozen", *append_only.steps(OBJECT_STEPS))


def freeze(table: str, message: str, *refused: str) -> None:
    append_only.freeze(table, FROZEN[table], message, *refused)


def downgrade() -> None:
    raise RuntimeError("the key store is never downgraded")
