SELECT EXISTS (SELECT 1 FROM events e, relay_state r
  WHERE r.window_snapshot IS NOT NULL OR e.xid >= pg_snapshot_xmax(r.done_snapshot))
