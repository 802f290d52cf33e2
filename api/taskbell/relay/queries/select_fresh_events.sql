-- The snapshot of this very statement, and the events visible in it but not in :done: at most :at_most of each kind, in
-- the order of their ids. More than :at_most rows in all mean a large window, which is read by pages instead.
WITH seen AS MATERIALIZED (
  SELECT pg_current_snapshot() AS snapshot
), fresh AS (
  (SELECT * FROM events
    WHERE xid >= pg_snapshot_xmax(:done::text::pg_snapshot)
    ORDER BY xid, id LIMIT :at_most)
  UNION ALL
  (SELECT late.*
    FROM pg_snapshot_xip(:done::text::pg_snapshot) AS unfinished (xid)
    CROSS JOIN LATERAL (SELECT * FROM events e WHERE e.xid = unfinished.xid ORDER BY e.xid, e.id LIMIT :at_most) late
    LIMIT :at_most)
)
SELECT seen.snapshot::text AS snapshot, f.id, f.workspace_id, f.type, f.subject_id, f.actor_id, f.audience,
  f.traceparent, f.created_at, f.data::text AS data
FROM seen LEFT JOIN fresh f ON true
ORDER BY f.id
