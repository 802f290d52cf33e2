"""What waits for one receiver is found by an index, however much waits for another one.

The index holds only what is under way. While it is built, delivery workers wait, and events wait in the stream.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.execute(
        "CREATE INDEX deliveries_queue_idx ON deliveries"
        " ((CASE WHEN channel = 'webhook' THEN endpoint_id ELSE workspace_id END), due_at)"
        " WHERE state IN ('pending', 'retrying')"
    )
