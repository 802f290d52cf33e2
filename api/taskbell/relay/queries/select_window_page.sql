-- The next events of the window between two snapshots, in the order of the primary key. Where the rows before take
-- :at_most_bytes or more, `data` is NULL.
WITH page AS (
  SELECT * FROM events
  WHERE id > :after_id
    AND (xid >= pg_snapshot_xmax(:done::text::pg_snapshot)
         OR xid = ANY (ARRAY(SELECT pg_snapshot_xip(:done::text::pg_snapshot))))
    AND pg_visible_in_snapshot(xid, :window::text::pg_snapshot)
  ORDER BY id
  LIMIT :at_most
), measured AS (
  SELECT *, sum(octet_length(data::text)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes
  FROM page
)
SELECT id, workspace_id, type, subject_id, actor_id, audience, traceparent, created_at,
  CASE WHEN coalesce(bytes, 0) < :at_most_bytes THEN data::text END AS data
FROM measured
ORDER BY id
