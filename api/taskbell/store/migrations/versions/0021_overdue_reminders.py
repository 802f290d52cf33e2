"""Tasks that were due before this release planned it, too, are told when they become overdue.

A sweep of the former release that still runs fires such a row as a reminder of its task, once.
"""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Plan the reminder of each open task that is still to become overdue."""
    op.execute("""
        INSERT INTO reminders (task_id, workspace_id, kind, lead, fire_at)
        SELECT id, workspace_id, 'overdue', interval '0', due_at
        FROM tasks WHERE status IN ('pending', 'in_progress') AND due_at > now()
        ON CONFLICT DO NOTHING
    """)
