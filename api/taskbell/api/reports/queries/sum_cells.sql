-- Sums by bucket and person: cells, plus facts of events that are not folded. Bucket 0 is the whole time from :since to
-- :until, bucket N begins at :bounds[N]. Open tasks that are due from :edge_since to :edge_until (NULL: none), within a
-- quarter of an hour, are read themselves, and counted in :edge_buckets.
-- All of it is one snapshot. LATERAL with an aggregate or OFFSET makes the scans wait for the actor: the policies ask for
-- it.
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', :actor::uuid::text, true)::uuid AS id
), place AS MATERIALIZED (
  SELECT CASE WHEN actor.id IS NOT NULL THEN :workspace_id::uuid END AS workspace_id FROM actor
), folded AS (
  SELECT s.bucket, p.person_id, m.measure, found.amount
  FROM place
  CROSS JOIN unnest(:people::uuid[]) AS p (person_id)
  CROSS JOIN unnest(:measures::text[]) AS m (measure)
  CROSS JOIN unnest(:buckets::integer[], :grains::integer[], :starts::text[], :ends::text[])
    AS s (bucket, grain, starts_at, ends_at)
  CROSS JOIN LATERAL (
    SELECT sum(c.amount)::bigint AS amount FROM report_cells c
    WHERE c.workspace_id = place.workspace_id AND c.measure = m.measure AND c.grain = s.grain
      AND c.person_id = p.person_id AND c.start_at >= s.starts_at::timestamptz AND c.start_at < s.ends_at::timestamptz
  ) found
  WHERE found.amount <> 0
), fresh AS (
  SELECT b.bucket, f.person_id, f.measure, f.amount
  FROM place CROSS JOIN report_state s
  CROSS JOIN LATERAL taskbell.report_facts(s.folded_until, '18446744073709551615', place.workspace_id) f
  CROSS JOIN LATERAL (
    SELECT 0 AS bucket
    UNION ALL
    SELECT w.number FROM (SELECT width_bucket(f.at, :bounds::text[]::timestamptz[]) AS number) w WHERE w.number > 0
  ) b
  WHERE f.person_id = ANY (:people) AND f.measure = ANY (:measures)
    AND f.at >= :since::text::timestamptz
    AND (f.at < :until::text::timestamptz OR :until::text::timestamptz = 'infinity')
    AND (f.measure IN ('pending', 'in_progress') OR f.at >= s.counted_from)
), edge AS (
  SELECT b.bucket, p.person_id, t.status AS measure, 1::bigint AS amount
  FROM place CROSS JOIN LATERAL (
    SELECT t.status,
           coalesce(nullif(t.assignee_ids, '{}'), ARRAY['ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid]) AS people
    FROM tasks t
    WHERE t.workspace_id = place.workspace_id AND t.status = ANY (:measures)
      AND least(t.due_at, 'infinity'::timestamptz) >= :edge_since::timestamptz
      AND least(t.due_at, 'infinity'::timestamptz) <= :edge_until::timestamptz
    OFFSET 0
  ) t
  CROSS JOIN LATERAL unnest('00000000-0000-0000-0000-000000000000'::uuid || t.people) AS p (person_id)
  CROSS JOIN unnest(:edge_buckets::integer[]) AS b (bucket)
  WHERE p.person_id = ANY (:people)
)
SELECT bucket, person_id, measure, sum(amount)::bigint AS amount
FROM (SELECT * FROM folded UNION ALL SELECT * FROM fresh UNION ALL SELECT * FROM edge) AS part
GROUP BY 1, 2, 3
