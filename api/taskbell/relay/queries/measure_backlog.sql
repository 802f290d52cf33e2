-- How many events are not carried yet and the lowest id of them, when :done is done and, of :window, all up to
-- :after_id (:window NULL: there is none); and the snapshot of this very statement.
SELECT count(*) AS events, min(id::text COLLATE "C")::uuid AS lowest_id, pg_current_snapshot()::text AS snapshot
FROM (
  SELECT xid, id FROM events WHERE xid >= pg_snapshot_xmax(:done::text::pg_snapshot)
  UNION ALL
  SELECT xid, e.id FROM pg_snapshot_xip(:done::text::pg_snapshot) AS unfinished (xid) JOIN events e USING (xid)
) AS undone
WHERE :window::text IS NULL OR id > :after_id::uuid OR NOT pg_visible_in_snapshot(xid, :window::text::pg_snapshot)
