"""The NATS server that the relay publishes to, so that a server that lost power is recognised."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE relay_state ADD COLUMN stream_server text")
