"""Confirmed e-mail addresses: nothing but a confirmation is sent to others."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE email_confirmations (
  id uuid PRIMARY KEY DEFAULT taskbell.new_id(),
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  email text NOT NULL,
  mailbox bytea NOT NULL CONSTRAINT email_confirmations_mailbox_length CHECK (octet_length(mailbox) = 32),
  token_hash bytea NOT NULL CONSTRAINT email_confirmations_hash_length CHECK (octet_length(token_hash) = 32),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz
)
"""
_INDEXES = (
    "CREATE UNIQUE INDEX email_confirmations_token_hash_key ON email_confirmations (token_hash)",
    "CREATE INDEX email_confirmations_mailbox_idx ON email_confirmations (mailbox, created_at)",
    "CREATE INDEX email_confirmations_user_id_idx ON email_confirmations (user_id)",
)


def upgrade() -> None:
    """Add the column and the table. Addresses of existing accounts are not confirmed."""
    op.execute("ALTER TABLE users ADD COLUMN email_confirmed_at timestamptz")
    for statement in (_TABLE, *_INDEXES):
        op.execute(statement)
