"""Sign-ins through providers of identity."""

from __future__ import annotations

from alembic import op

revision = "0039"
down_revision = "0037"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE identities (
      issuer text NOT NULL CONSTRAINT identities_issuer_length CHECK (char_length(issuer) BETWEEN 1 AND 500),
      subject text NOT NULL CONSTRAINT identities_subject_length CHECK (char_length(subject) BETWEEN 1 AND 255),
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      PRIMARY KEY (issuer, subject)
    )
    """,
    "CREATE UNIQUE INDEX identities_user_id_key ON identities (user_id, issuer)",
    "CREATE TABLE used_sign_ins (id uuid PRIMARY KEY, expires_at timestamptz NOT NULL)",
    "CREATE INDEX used_sign_ins_expires_at_idx ON used_sign_ins (expires_at)",
)


def upgrade() -> None:
    """Add the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
