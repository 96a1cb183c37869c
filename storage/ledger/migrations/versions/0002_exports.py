"""The registry of exports, what became of them, and who withdrew consent. All of it is evidence: written once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("export", "export_step", "withdrawal")


def upgrade() -> None:
    op.create_table(
        "export",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("mark", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export")),
        comment="append-only: exports that left the ILS; mark: keyed digest of the place; body: all that is known, sealed",
    )
    op.create_index(op.f("ix_export_mark"), "export", ["mark"], unique=False)
    op.create_table(
        "export_step",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("export_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("document_digest", sa.String(length=64), nullable=True),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["export_id"], ["export.id"], name=op.f("fk_export_step_export_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_step")),
        comment="append-only: our copy gone, attestation asked of the recipient, attested",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_export_step_export_id"), "export_step", ["export_id"], unique=False)
    op.create_table(
        "withdrawal",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("mark", sa.String(length=64), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawal")),
        comment="append-only: who withdrew consent, or gave it again, as a keyed digest; the last row of a mark counts",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_withdrawal_mark"), "withdrawal", ["mark"], unique=False)
    for table in APPEND_ONLY:
        _refuse_changes(table)


def _refuse_changes(table: str) -> None:
    message = f"{table} is append-only"
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f'CREATE TRIGGER refuse_{action.lower()}_{table} BEFORE {action} ON "{table}" FOR EACH ROW '
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        # REPLACE deletes the row in its way without asking a DELETE trigger.
        op.execute(
            f'CREATE TRIGGER refuse_replace_{table} BEFORE INSERT ON "{table}" FOR EACH ROW '  # noqa: S608  # our own names
            f'WHEN EXISTS (SELECT 1 FROM "{table}" WHERE id = NEW.id OR rowid = NEW.rowid) '
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    for action in ("UPDATE", "DELETE", "TRUNCATE"):
        name = f"refuse_{action.lower()}_{table}"
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{message}'; END $$"
        )
        each = "STATEMENT" if action == "TRUNCATE" else "ROW"
        op.execute(
            f'CREATE TRIGGER {name} BEFORE {action} ON "{table}" FOR EACH {each} EXECUTE FUNCTION {name}()'
        )


def downgrade() -> None:
    raise RuntimeError("the ledger is evidence: it is never downgraded")
