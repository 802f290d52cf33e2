"""Versions of passwords, by which device tokens end, and an index that finds expired counts of attempts."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the index; the table of attempts is small."""
    op.execute("ALTER TABLE users ADD COLUMN password_version integer NOT NULL DEFAULT 1")
    op.execute("CREATE INDEX login_attempts_window_idx ON login_attempts (window_started_at)")
