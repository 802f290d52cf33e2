"""Answers that repeats of a request get again."""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE kept_answers (
  user_id uuid NOT NULL,
  name bytea NOT NULL CONSTRAINT kept_answers_name_length CHECK (octet_length(name) = 32),
  sealed bytea NOT NULL,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (user_id, name)
)
"""


def upgrade() -> None:
    """Add the table. What is encrypted cannot be compressed, so nobody tries."""
    op.execute(_TABLE)
    op.execute("ALTER TABLE kept_answers ALTER COLUMN sealed SET STORAGE EXTERNAL")
    op.execute("CREATE INDEX kept_answers_created_at_idx ON kept_answers (created_at)")
