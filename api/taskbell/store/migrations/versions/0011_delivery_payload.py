"""A delivery refers to its event, and holds a document of its own only when there is no such event."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the document be absent."""
    op.execute("ALTER TABLE deliveries ALTER COLUMN payload DROP NOT NULL")
