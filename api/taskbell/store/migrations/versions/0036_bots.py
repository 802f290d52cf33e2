"""Bot users."""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Every present user is a person."""
    op.execute(
        """
        ALTER TABLE users ADD COLUMN bot_of uuid,
          ADD CONSTRAINT users_bot_of_fkey FOREIGN KEY (bot_of) REFERENCES workspaces (id) ON DELETE CASCADE,
          ADD CONSTRAINT users_bot
            CHECK (bot_of IS NULL OR (bot_of = personal_workspace_id AND password_hash IS NULL))
        """
    )
    op.execute("CREATE INDEX users_bot_of_idx ON users (bot_of, id) WHERE bot_of IS NOT NULL")
