SELECT EXISTS (
  SELECT FROM events e, relay_state s
  WHERE e.id >= :start AND e.id < :end AND (s.done_snapshot IS NULL OR e.xid >= pg_snapshot_xmax(s.done_snapshot))
)
