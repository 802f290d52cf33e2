"""What the active relay reads of reminders, to say how late they are: when each was planned, and when it fired.

The relay sees these columns and no others: not whose reminders they are.
"""

from __future__ import annotations

from alembic import op

from taskbell.store.scripts import run_script

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Jobs of sweeps that are older than this have neither. The default comes apart from the column: a volatile one, given
# with it, would write the whole table anew.
COLUMNS = """
ALTER TABLE job_log ADD COLUMN planned_at timestamptz, ADD COLUMN xid xid8;
ALTER TABLE job_log ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
"""

RIGHTS = """
CREATE POLICY watched ON reminders FOR SELECT TO taskbell_relay USING (true);
GRANT SELECT (fire_at) ON reminders TO taskbell_relay;
GRANT SELECT (planned_at, finished_at, xid) ON job_log TO taskbell_relay;
"""


def upgrade() -> None:
    """Add the columns and the relay's rights."""
    for script in (COLUMNS, RIGHTS):
        run_script(script)


def downgrade() -> None:
    """Remove them."""
    op.execute("REVOKE SELECT (finished_at) ON job_log FROM taskbell_relay")
    op.execute("ALTER TABLE job_log DROP COLUMN planned_at, DROP COLUMN xid")
    op.execute("REVOKE SELECT (fire_at) ON reminders FROM taskbell_relay")
    op.execute("DROP POLICY watched ON reminders")
