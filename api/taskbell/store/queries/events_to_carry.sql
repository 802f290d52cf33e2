-- Whether the relay has still to carry an event of these, or a delivery under way refers to one.
SELECT EXISTS (
  SELECT FROM events e, relay_state s
  WHERE e.id >= :start AND e.id < :end AND (s.done_snapshot IS NULL OR e.xid >= pg_snapshot_xmax(s.done_snapshot))
) OR EXISTS (
  SELECT FROM deliveries
  WHERE event_id >= :start AND event_id < :end AND payload IS NULL
    AND state IN ('pending', 'retrying') AND give_up_at > now()
)
