"""An index of the comments of a workspace by task and author: who hears of a new one, and how much they take."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index; the table is as new as this release."""
    op.execute("CREATE INDEX comments_author_idx ON comments (workspace_id, task_id, author_id)")
