"""Physical media destroyed by hand: lots, and the four signed steps about each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage import append_only

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "media_lot",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media_lot")),
        comment="append-only: physical media to be destroyed together; body: sealed",
    )
    op.create_table(
        "media_step",
        sa.Column("lot_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["lot_id"], ["media_lot.id"], name=op.f("fk_media_step_lot_id")),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name=op.f("fk_media_step_person")),
        sa.PrimaryKeyConstraint("lot_id", "step", name=op.f("pk_media_step")),
        comment="append-only: planned, approved, attested, witnessed, each once and signed",
    )
    for table, key in (("media_lot", ("id",)), ("media_step", ("lot_id", "step"))):
        append_only.refuse(table, "UPDATE", f"{table} is append-only")
        append_only.refuse(table, "DELETE", f"{table} is append-only")
        append_only.refuse_replacing(table, key)


def downgrade() -> None:
    raise RuntimeError("the ledger is evidence: it is never downgraded")
