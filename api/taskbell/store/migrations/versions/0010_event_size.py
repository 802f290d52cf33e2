"""A bound for the size of an event, so that none is too large for NATS."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the constraint for new rows; older events, which were bounded by the limits of a task, stay as they are."""
    op.execute(
        "ALTER TABLE events ADD CONSTRAINT events_data_size CHECK (octet_length(data::text) <= 163840) NOT VALID"
    )
