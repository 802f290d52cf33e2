"""Changes of e-mail addresses, which their new owners confirm."""

from __future__ import annotations

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE email_confirmations ADD COLUMN former_email text")
