-- The last line: events of transactions that had not ended when the relay looked last.
SELECT EXISTS (SELECT 1 FROM relay_state WHERE window_snapshot IS NOT NULL)
  OR EXISTS (SELECT 1 FROM events e, relay_state r WHERE e.xid >= pg_snapshot_xmax(r.done_snapshot))
  OR EXISTS (SELECT 1 FROM relay_state r, pg_snapshot_xip(r.done_snapshot) AS unfinished (xid) JOIN events e USING (xid))
