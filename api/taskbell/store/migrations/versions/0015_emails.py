"""E-mail addresses are in Unicode NFC, also where lower case composes what upper case does not."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

STATEMENTS = (
    # Of several accounts with one address in several forms, the one in NFC keeps it, else the oldest gets it.
    """
    UPDATE users u SET email = n.email
    FROM (SELECT DISTINCT ON (lower(normalize(email, NFC))) id, normalize(email, NFC) AS email
          FROM users WHERE email IS NOT NFC NORMALIZED ORDER BY lower(normalize(email, NFC)), id) n
    WHERE u.id = n.id AND NOT EXISTS (SELECT FROM users o WHERE lower(o.email) = lower(n.email))
    """,
    "DELETE FROM invitations WHERE email IS NOT NFC NORMALIZED",
)


def upgrade() -> None:
    """Normalize stored addresses."""
    for statement in STATEMENTS:
        op.execute(statement)
