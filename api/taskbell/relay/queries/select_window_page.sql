-- The next $4 events after id $3 of the window between snapshots $1 and $2, in the order of the primary key.
SELECT id, workspace_id, type, subject_id, actor_id, audience, traceparent, created_at, data::text AS data
FROM events
WHERE id > $3
  AND (xid >= pg_snapshot_xmax($1::text::pg_snapshot)
       OR xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot))))
  AND pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
ORDER BY id
LIMIT $4
