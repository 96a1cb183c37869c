"""Roles that change, passkeys, holds that are widened and narrowed, decisions on record types and single items, and the
console's own tables (accounts, sessions, drafts), which are no evidence.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage import append_only

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "person_step": ("id",),
    "passkey": ("credential",),
    "hold_revision": ("hold_id", "number"),
    "item_exception": ("id",),
    "ruling": ("id",),
}
HOLD_STEPS = {
    "requested": ("placing", "declined"),
    "declined": (),
    "placing": ("provisional", "active"),
    "provisional": ("active", "release-requested", "in-grace", "placing"),
    "active": ("release-requested", "placing"),
    "release-requested": ("in-grace", "active", "provisional"),
    "in-grace": ("released", "active", "provisional"),
    "released": (),
}
"""The ways of a hold. Nothing but the end of its grace leads to *released*, and nothing leads back. From *provisional* to
*in-grace*: nobody confirmed it in time. Back to *placing*: it was widened, and keeps; then on to what it was."""
FROZEN_HOLD = ("id", "body", "review_on", "epoch")
OTHER_PERSON = {"confirm": "place", "approve-release": "request-release"}
"""Steps of a hold that another person has to do than whoever did the last step of the other kind."""


def upgrade() -> None:
    _evidence()
    _desk()
    for table, key in APPEND_ONLY.items():
        append_only.refuse(table, "UPDATE", f"{table} is append-only")
        append_only.refuse(table, "DELETE", f"{table} is append-only")
        append_only.refuse_replacing(table, key, *(["public_key"] if table == "passkey" else []))
    _ways_of_a_hold()
    _four_eyes()
    op.create_index(op.f("ix_case_file_opened_at_id"), "case_file", ["opened_at", "id"])
    op.create_index(op.f("ix_certificate_at_id"), "certificate", ["at", "id"])
    if op.get_bind().dialect.name == "postgresql":
        for table in ("hold_action", "approval"):
            op.alter_column(table, "signature", type_=sa.Text(), existing_nullable=False)


def _four_eyes() -> None:
    """The database itself lets nothing be destroyed before enough different people have approved, as far as it can tell: it
    counts people and leaves signatures, roles and cooling-off to those who read them."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    counted = (
        "SELECT value FROM json_each(NEW.cleared_by)"
        if sqlite
        else "SELECT value::integer FROM jsonb_array_elements_text(NEW.cleared_by::jsonb)"
    )
    enough = f"""(
        SELECT count(DISTINCT a.person) FROM approval a
        WHERE a.case_id = NEW.id AND a.decision = 'approve' AND a.person <> NEW.opened_by AND a.id IN ({counted})
        AND a.epoch >= (SELECT coalesce(max(e.epoch), 0) FROM item_exception e WHERE e.case_id = NEW.id)
        AND NOT EXISTS (
            SELECT 1 FROM approval w
            WHERE w.case_id = a.case_id AND w.person = a.person AND w.decision = 'withdraw' AND w.id > a.id
        )
    ) >= CASE NEW.approval_kind
        WHEN 'standing' THEN (CASE WHEN NEW.brakes = '{{}}' THEN 0 ELSE 1 END) WHEN 'custodian' THEN 1 ELSE 2 END"""  # noqa: S608  # our own names
    message = "refused: too few different people approved this case"
    begins = "OLD.destroying_since IS NULL AND NEW.destroying_since IS NOT NULL"
    if sqlite:
        op.execute(
            f"CREATE TRIGGER refuse_unapproved BEFORE UPDATE ON case_file FOR EACH ROW WHEN {begins} AND NOT coalesce({enough}, 0) "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        op.execute(
            "CREATE TRIGGER refuse_begun BEFORE INSERT ON case_file FOR EACH ROW WHEN NEW.destroying_since IS NOT NULL "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION refuse_unapproved() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF NOT coalesce({enough}, false) THEN RAISE EXCEPTION '{message}'; END IF; RETURN NEW; END $$"
    )
    op.execute(
        f"CREATE TRIGGER refuse_unapproved BEFORE UPDATE ON case_file FOR EACH ROW WHEN ({begins}) "
        "EXECUTE FUNCTION refuse_unapproved()"
    )
    op.execute(
        "CREATE FUNCTION refuse_begun() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER refuse_begun BEFORE INSERT ON case_file FOR EACH ROW WHEN (NEW.destroying_since IS NOT NULL) "
        "EXECUTE FUNCTION refuse_begun()"
    )


def _ways_of_a_hold() -> None:
    """In place of those of 0001."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER refuse_update_hold")
    else:
        op.execute("DROP TRIGGER refuse_update_hold ON hold")
        op.execute("DROP FUNCTION refuse_update_hold()")
    grace = "(NEW.state IN ('in-grace', 'released') AND NEW.grace_until IS NULL)"
    early = "(OLD.state IN ('in-grace', 'released') AND NEW.state = OLD.state AND NEW.grace_until IS DISTINCT FROM OLD.grace_until)"
    lapse = (
        "(OLD.state = 'provisional' AND NEW.state = 'in-grace' AND "
        "(OLD.provisional_until IS NULL OR NEW.grace_until <= OLD.provisional_until))"
    )
    dated = (
        "(NOT (OLD.state = 'requested' AND NEW.state = 'placing') AND (NEW.placed_at IS DISTINCT FROM OLD.placed_at "
        "OR NEW.provisional_until IS DISTINCT FROM OLD.provisional_until))"
    )
    ways = append_only.steps(HOLD_STEPS)
    append_only.freeze("hold", FROZEN_HOLD, "this way of a hold is frozen", *ways, grace, early, lapse, dated)
    for action, before in OTHER_PERSON.items():
        append_only.other_person("hold_action", "hold_id", action, before)


def _evidence() -> None:
    op.create_table(
        "person_step",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name=op.f("fk_person_step_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_step")),
        comment="append-only: role given, disabled, enabled, code of ethics acknowledged, passkey retired; the last of its step counts",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_person_step_person"), "person_step", ["person"], unique=False)
    op.create_table(
        "passkey",
        sa.Column("credential", sa.String(length=1400), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("public_key", sa.String(length=256), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("added_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name=op.f("fk_passkey_person")),
        sa.PrimaryKeyConstraint("credential", name=op.f("pk_passkey")),
        sa.UniqueConstraint("public_key", name=op.f("uq_passkey_public_key")),
        comment="append-only: passkeys that sign for a person; retired by a step of the person",
    )
    op.create_index(op.f("ix_passkey_person"), "passkey", ["person"], unique=False)
    op.create_table(
        "hold_revision",
        sa.Column("hold_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("review_on", sa.String(length=10), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name=op.f("fk_hold_revision_hold_id")),
        sa.PrimaryKeyConstraint("hold_id", "number", name=op.f("pk_hold_revision")),
        comment="append-only: a hold widened, narrowed or otherwise corrected; the highest number counts; body: sealed",
    )
    op.create_table(
        "item_exception",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("case_id", sa.String(length=40), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_item_exception_case_id")),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name=op.f("fk_item_exception_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_exception")),
        comment="append-only: items of a case that a person took out; ordinal: position in the manifest; reason: sealed",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_item_exception_case_id"), "item_exception", ["case_id"], unique=False)
    op.create_table(
        "ruling",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("record_type", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("until", sa.String(length=10), nullable=True),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name=op.f("fk_ruling_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ruling")),
        comment="append-only: decisions on a record type: standing approval proposed, agreed, revoked; disposition extended to a day",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_ruling_record_type"), "ruling", ["record_type"], unique=False)


def _desk() -> None:
    op.create_table(
        "account",
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("password", sa.String(length=256), nullable=True),
        sa.Column("oidc_subject", sa.String(length=512), nullable=True),
        sa.Column("changed_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name=op.f("fk_account_person")),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_account")),
        sa.UniqueConstraint("oidc_subject", name=op.f("uq_account_oidc_subject")),
        comment="how a person signs in to the console; no evidence. password: argon2id",
    )
    op.create_table(
        "invitation",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("expires_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name=op.f("fk_invitation_person")),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_invitation")),
        comment="one-time codes to set a password or passkey with, as digests; no evidence",
    )
    op.create_table(
        "session",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("how", sa.String(length=16), nullable=False),
        sa.Column("made_at", sa.String(length=32), nullable=False),
        sa.Column("seen_at", sa.String(length=32), nullable=False),
        sa.Column("expires_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name=op.f("fk_session_person")),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_session")),
        comment="who is signed in to the console, as digests of their cookies; no evidence",
    )
    op.create_index(op.f("ix_session_person"), "session", ["person"], unique=False)
    op.create_table(
        "draft",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.String(length=32), nullable=False),
        sa.Column("done_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draft")),
        comment="forms on their way: typed before a session ended, or waiting for a signature; body: sealed; no evidence",
    )
    op.create_index(op.f("ix_draft_person"), "draft", ["person"], unique=False)
    op.create_table(
        "question",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at", sa.String(length=32), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("answered_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question")),
        comment="what a page wants to know of the stores, which it does not reach: asked here, answered by the keeper of holds; sealed; no evidence",
    )
    op.create_index(op.f("ix_question_answered_at"), "question", ["answered_at"], unique=False)
    op.create_table(
        "look",
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("person", "subject", name=op.f("pk_look")),
        comment="what a person saw of a case when they last looked; no evidence",
    )
    op.create_table(
        "attempt",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("until", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attempt")),
        comment="failed sign-ins, counted by keyed digests of name and address; no evidence",
    )


def downgrade() -> None:
    raise RuntimeError("the ledger is evidence: it is never downgraded")
