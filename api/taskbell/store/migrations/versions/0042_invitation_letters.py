"""Invitations by mail, and since when a user has the password."""

from __future__ import annotations

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and the column that makes letters of earlier times useless."""
    op.execute(
        """
        CREATE TABLE invitation_letters (
          id uuid PRIMARY KEY,
          invitation_id uuid REFERENCES invitations (id) ON DELETE SET NULL,
          invited_by uuid NOT NULL,
          mailbox bytea NOT NULL CONSTRAINT invitation_letters_mailbox_length CHECK (octet_length(mailbox) = 32),
          token_hash bytea NOT NULL CONSTRAINT invitation_letters_hash_length CHECK (octet_length(token_hash) = 32),
          is_sent boolean NOT NULL,
          created_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """
    )
    for index in (
        "CREATE UNIQUE INDEX invitation_letters_token_hash_key ON invitation_letters (token_hash)",
        "CREATE INDEX invitation_letters_invitation_id_idx ON invitation_letters (invitation_id)",
        "CREATE INDEX invitation_letters_mailbox_idx ON invitation_letters (mailbox, created_at)",
        "CREATE INDEX invitation_letters_invited_by_idx ON invitation_letters (invited_by, created_at)",
        "CREATE INDEX invitation_letters_created_at_idx ON invitation_letters (created_at)",
    ):
        op.execute(index)
    op.execute("ALTER TABLE users ADD COLUMN password_changed_at timestamptz")
