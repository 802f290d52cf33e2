-- The next events of the window between two snapshots, in the order of the primary key.
SELECT id, workspace_id, type, subject_id, actor_id, audience, traceparent, created_at, data::text AS data
FROM events
WHERE id > :after_id
  AND (xid >= pg_snapshot_xmax(:done::text::pg_snapshot)
       OR xid = ANY (ARRAY(SELECT pg_snapshot_xip(:done::text::pg_snapshot))))
  AND pg_visible_in_snapshot(xid, :window::text::pg_snapshot)
ORDER BY id
LIMIT :at_most
