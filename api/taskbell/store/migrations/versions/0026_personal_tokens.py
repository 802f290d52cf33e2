"""Personal access tokens."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE personal_tokens (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name text NOT NULL CONSTRAINT personal_tokens_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
  scopes text[] NOT NULL CONSTRAINT personal_tokens_scopes_count CHECK (cardinality(scopes) BETWEEN 1 AND 100),
  token_hash bytea NOT NULL CONSTRAINT personal_tokens_hash_length CHECK (octet_length(token_hash) = 32),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  last_used_at timestamptz
)
"""
_INDEXES = (
    "CREATE UNIQUE INDEX personal_tokens_token_hash_key ON personal_tokens (token_hash)",
    "CREATE INDEX personal_tokens_user_id_idx ON personal_tokens (user_id, id)",
)


def upgrade() -> None:
    """Add the table."""
    for statement in (_TABLE, *_INDEXES):
        op.execute(statement)
