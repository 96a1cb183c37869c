"""One key, one person: the database refuses a key that somebody has already, as their own or in a passkey. Nobody gives a role to
themself. And the token of a session that began at the identity provider, to end it there too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage import append_only

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEYS = {
    "passkey": "EXISTS (SELECT 1 FROM person p WHERE 'retention-ed25519 ' || p.public_key = NEW.public_key)",
    "person": "EXISTS (SELECT 1 FROM passkey p WHERE p.public_key = 'retention-ed25519 ' || NEW.public_key)",
}
"""A person's own key stands in base64, a passkey's as the line of `retention.signing.PublicKey.line`."""


def upgrade() -> None:
    op.add_column("session", sa.Column("id_token", sa.LargeBinary(), nullable=True))
    for table, taken in KEYS.items():
        append_only.refuse_inserting(
            table, "key", "one key, one person: somebody has this key already", taken
        )
    own = "NEW.step = 'role' AND NEW.person = NEW.actor"
    append_only.refuse_inserting("person_step", "own_role", "nobody changes their own role", own)


def downgrade() -> None:
    raise RuntimeError("the ledger is evidence: it is never downgraded")
