"""Who is responsible for a webhook, and notifications of webhooks that are paused."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE webhooks ADD COLUMN responsible_id uuid REFERENCES users (id) ON DELETE SET NULL",
    "UPDATE webhooks SET responsible_id = created_by",
    """
    ALTER TABLE notifications DROP CONSTRAINT notifications_kind, ADD CONSTRAINT notifications_kind
      CHECK (kind IN ('assigned', 'status_changed', 'due_soon', 'invited', 'webhooks_paused'))
    """,
)


def upgrade() -> None:
    """Add the column, and admit the new kind."""
    for statement in STATEMENTS:
        op.execute(statement)
