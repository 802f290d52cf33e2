"""Summaries of what was done with tasks, and of those that are open."""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables. The relay fills them.

    What is older than an hour is counted from the tasks, what is younger from its events: those are still there, and
    no transaction is as old.
    """
    op.execute(
        """
        CREATE TABLE report_cells (
          workspace_id uuid NOT NULL,
          measure text NOT NULL,
          grain integer NOT NULL,
          person_id uuid NOT NULL,
          start_at timestamptz NOT NULL,
          bin integer NOT NULL,
          amount bigint NOT NULL,
          millis bigint NOT NULL,
          PRIMARY KEY (workspace_id, measure, grain, person_id, start_at, bin) INCLUDE (amount, millis),
          CONSTRAINT report_cells_measure CHECK (measure IN (
            'created', 'completed', 'reopened', 'cancelled', 'deleted', 'cycle_time', 'pending', 'in_progress')),
          CONSTRAINT report_cells_grain CHECK (grain IN (0, 15, 180, 1440, 23040))
        )
        """
    )
    op.execute(
        """
        CREATE TABLE report_state (
          id smallint PRIMARY KEY DEFAULT 1,
          folded_until xid8 NOT NULL,
          folded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
          counted_from timestamptz NOT NULL,
          seed_after uuid,
          checked_until timestamptz,
          repaired bigint NOT NULL DEFAULT 0,
          CONSTRAINT report_state_single_row CHECK (id = 1)
        )
        """
    )
    op.execute(
        """
        WITH young AS (SELECT clock_timestamp() - interval '1 hour' AS since)
        INSERT INTO report_state (folded_until, counted_from, seed_after)
        SELECT least(
            pg_snapshot_xmin(pg_current_snapshot()),
            (SELECT e.xid FROM events e
             WHERE e.id >= rpad(lpad(to_hex((extract(epoch FROM young.since) * 1000)::bigint), 12, '0'), 32, '0')::uuid
             ORDER BY e.xid LIMIT 1)),
          young.since,
          CASE WHEN EXISTS (SELECT FROM tasks) THEN '00000000-0000-0000-0000-000000000000'::uuid END
        FROM young
        """
    )
