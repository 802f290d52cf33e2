"""Invitations to workspaces, and notifications of them."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE invitations (
      id uuid PRIMARY KEY,
      workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
      email text NOT NULL CONSTRAINT invitations_email_length CHECK (char_length(email) <= 320),
      role text NOT NULL CONSTRAINT invitations_role CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
      invited_by uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      expires_at timestamptz NOT NULL,
      withdrawn_at timestamptz,
      declined_at timestamptz
    )
    """,
    "CREATE UNIQUE INDEX invitations_workspace_id_key ON invitations (workspace_id, email)",
    "CREATE INDEX invitations_email_idx ON invitations (email, id)",
    "CREATE INDEX invitations_invited_by_idx ON invitations (invited_by, expires_at)",
    "CREATE INDEX invitations_expires_at_idx ON invitations (expires_at)",
    """
    ALTER TABLE notifications DROP CONSTRAINT notifications_kind, ADD CONSTRAINT notifications_kind
      CHECK (kind IN ('assigned', 'status_changed', 'due_soon', 'invited'))
    """,
)


def upgrade() -> None:
    """Make the table, and admit the new kind."""
    for statement in STATEMENTS:
        op.execute(statement)
