"""What the transparency log holds, in its order: the log's files are made from these rows, and can be made again.

Certificates that were issued before there was a log come first, in the order in which they were issued.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

REFUSAL = "log_entry is append-only"


def upgrade() -> None:
    op.create_table(
        "log_entry",
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_log_entry")),
        comment="append-only: what stands in the transparency log, in its order",
    )
    op.create_index(op.f("ix_log_entry_subject"), "log_entry", ["subject"], unique=False)
    op.execute(
        "INSERT INTO log_entry (position, kind, subject, envelope, at) "
        "SELECT row_number() OVER (ORDER BY at, length(id), id) - 1, 'certificate', id, envelope, at FROM certificate"
    )
    refuse_changes()


def refuse_changes() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for action, condition in (
            ("UPDATE", ""),
            ("DELETE", ""),
            ("INSERT", " WHEN EXISTS (SELECT 1 FROM log_entry WHERE position = NEW.position)"),
        ):
            op.execute(
                f"CREATE TRIGGER refuse_{action.lower()}_log_entry BEFORE {action} ON log_entry FOR EACH ROW{condition} "
                f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_change_log_entry() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    for action, each in (("UPDATE", "ROW"), ("DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER refuse_{action.lower()}_log_entry BEFORE {action} ON log_entry FOR EACH {each} "
            "EXECUTE FUNCTION refuse_change_log_entry()"
        )


def downgrade() -> None:
    raise RuntimeError("the ledger is evidence: it is never downgraded")
