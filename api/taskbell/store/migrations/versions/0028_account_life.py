"""Tokens by which forgotten passwords are set again; what a session tells its user."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0026"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE password_resets (
  id uuid PRIMARY KEY DEFAULT taskbell.new_id(),
  user_id uuid REFERENCES users (id) ON DELETE CASCADE,
  email text,
  password_version integer,
  mailbox bytea NOT NULL CONSTRAINT password_resets_mailbox_length CHECK (octet_length(mailbox) = 32),
  token_hash bytea NOT NULL CONSTRAINT password_resets_hash_length CHECK (octet_length(token_hash) = 32),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz
)
"""
_INDEXES = (
    "CREATE UNIQUE INDEX password_resets_token_hash_key ON password_resets (token_hash)",
    "CREATE INDEX password_resets_mailbox_idx ON password_resets (mailbox, created_at)",
    "CREATE INDEX password_resets_user_id_idx ON password_resets (user_id)",
)
_SESSIONS = (
    "ALTER TABLE sessions ADD COLUMN last_used_at timestamptz NOT NULL DEFAULT now()",
    "ALTER TABLE sessions ADD COLUMN client text CONSTRAINT sessions_client_length CHECK (char_length(client) <= 200)",
    "ALTER TABLE sessions ALTER COLUMN last_used_at SET DEFAULT clock_timestamp()",
    "CREATE INDEX sessions_revoked_at_idx ON sessions (revoked_at, id) WHERE revoked_at IS NOT NULL",
)


def upgrade() -> None:
    """Add the table and the columns. When sessions of before were last used is not known: not after this moment."""
    for statement in (_TABLE, *_INDEXES, *_SESSIONS):
        op.execute(statement)
