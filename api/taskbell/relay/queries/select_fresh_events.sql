-- The snapshot of this very statement, and the events visible in it but not in $1: at most $2 of each kind, in the
-- order of their ids. More than $2 rows in all mean a large window, to be read by pages instead.
WITH seen AS MATERIALIZED (
  SELECT pg_current_snapshot() AS snapshot
), fresh AS (
  (SELECT * FROM events
    WHERE xid >= pg_snapshot_xmax($1::text::pg_snapshot)
    ORDER BY xid, id LIMIT $2)
  UNION ALL
  (SELECT late.*
    FROM pg_snapshot_xip($1::text::pg_snapshot) AS unfinished (xid)
    CROSS JOIN LATERAL (SELECT * FROM events e WHERE e.xid = unfinished.xid ORDER BY e.xid, e.id LIMIT $2) late
    LIMIT $2)
)
SELECT seen.snapshot::text AS snapshot, f.id, f.workspace_id, f.type, f.subject_id, f.actor_id, f.audience,
  f.traceparent, f.created_at, f.data::text AS data
FROM seen LEFT JOIN fresh f ON true
ORDER BY f.id
