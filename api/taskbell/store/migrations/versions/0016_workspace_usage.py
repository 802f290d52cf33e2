"""How much each workspace writes and stores."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table. The relay fills it."""
    op.execute(
        """
        CREATE TABLE workspace_usage (
          workspace_id uuid PRIMARY KEY,
          level_bytes bigint NOT NULL DEFAULT 0,
          measured_at timestamptz NOT NULL,
          refused_until timestamptz,
          task_bytes bigint NOT NULL DEFAULT 0,
          uncounted_bytes bigint NOT NULL DEFAULT 0,
          counted_at timestamptz,
          tasks_full boolean NOT NULL DEFAULT false
        )
        """
    )
    op.execute("CREATE INDEX workspace_usage_refused_idx ON workspace_usage (refused_until)")
    op.execute("CREATE INDEX workspace_usage_full_idx ON workspace_usage (workspace_id) WHERE tasks_full")
