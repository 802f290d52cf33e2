-- Whether the relay has still to carry an event of these, or reports to sum it up, or a delivery under way refers to one.
SELECT EXISTS (
  SELECT FROM events e, relay_state s
  WHERE e.id >= :start AND e.id < :end AND (s.done_snapshot IS NULL OR e.xid >= pg_snapshot_xmax(s.done_snapshot))
) OR EXISTS (
  SELECT FROM events e, report_state s
  WHERE e.id >= :start AND e.id < :end AND e.xid >= s.folded_until AND e.created_at >= s.counted_from
) OR EXISTS (
  SELECT FROM deliveries
  WHERE event_id >= :start AND event_id < :end AND payload IS NULL
    AND state IN ('pending', 'retrying') AND give_up_at > now()
)
