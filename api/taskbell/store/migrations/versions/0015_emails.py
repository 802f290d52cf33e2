"""E-mail addresses are in Unicode NFC, also where lower case composes what upper case does not."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

STATEMENTS = (
    # Of two accounts with one address in two forms, the one in NFC keeps it.
    """
    UPDATE users u SET email = normalize(u.email, NFC)
    WHERE u.email IS NOT NFC NORMALIZED
      AND NOT EXISTS (SELECT FROM users o WHERE lower(o.email) = lower(normalize(u.email, NFC)))
    """,
    "DELETE FROM invitations WHERE email IS NOT NFC NORMALIZED",
)


def upgrade() -> None:
    """Normalize stored addresses."""
    for statement in STATEMENTS:
        op.execute(statement)
