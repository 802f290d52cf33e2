-- How many events are not yet carried, and the lowest id among them, when $1 is done and, of the window $2, all up to
-- id $3 ($2 NULL: there is no such window); and the snapshot of this very statement.
SELECT count(*) AS events, min(id::text COLLATE "C")::uuid AS lowest_id, pg_current_snapshot()::text AS snapshot
FROM (
  SELECT xid, id FROM events WHERE xid >= pg_snapshot_xmax($1::text::pg_snapshot)
  UNION ALL
  SELECT xid, e.id FROM pg_snapshot_xip($1::text::pg_snapshot) AS unfinished (xid) JOIN events e USING (xid)
) AS undone
WHERE $2::text IS NULL OR id > $3::uuid OR NOT pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
