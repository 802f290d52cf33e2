"""Deleted workspaces, which their owners can restore."""

from __future__ import annotations

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add where memberships wait, and until when."""
    op.execute("ALTER TABLE workspaces ADD COLUMN deleted_at timestamptz, ADD COLUMN restorable_until timestamptz")
    op.execute(
        "CREATE INDEX workspaces_restorable_until_idx ON workspaces (restorable_until)"
        " WHERE restorable_until IS NOT NULL"
    )
    op.execute(
        """
        CREATE TABLE suspended_memberships (
          user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
          workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
          role text NOT NULL,
          created_at timestamptz NOT NULL,
          PRIMARY KEY (user_id, workspace_id)
        )
        """
    )
    op.execute("CREATE INDEX suspended_memberships_workspace_id_idx ON suspended_memberships (workspace_id)")
