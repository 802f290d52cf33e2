-- The snapshot of this very statement, and the events visible in it but not in :done: at most :at_most of each kind, in
-- the order of their ids. More than :at_most rows in all mean a large window, which is read by pages instead.
-- Where the rows before take :at_most_bytes or more, `data` is NULL.
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
), measured AS (
  SELECT *, sum(octet_length(data::text)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes
  FROM fresh
)
SELECT seen.snapshot::text AS snapshot, m.id, m.workspace_id, m.type, m.subject_id, m.actor_id, m.audience,
  m.traceparent, m.created_at, CASE WHEN coalesce(m.bytes, 0) < :at_most_bytes THEN m.data::text END AS data
FROM seen LEFT JOIN measured m ON true
ORDER BY m.id
