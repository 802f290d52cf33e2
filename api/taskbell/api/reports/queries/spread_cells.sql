-- How durations are spread, by bucket and person: how many, their sum, and the bins in which a half and nine tenths of
-- them end. For the buckets see sum_cells. LATERAL and OFFSET make the scans wait for the actor: the policies ask for
-- it. Amounts are added as float8, which holds them exactly: numeric takes far longer.
WITH actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', :actor::uuid::text, true)::uuid AS id
), place AS MATERIALIZED (
  SELECT CASE WHEN actor.id IS NOT NULL THEN :workspace_id::uuid END AS workspace_id FROM actor
), folded AS (
  SELECT s.bucket, p.person_id, found.bin, found.amount, found.millis
  FROM place
  CROSS JOIN unnest(:people::uuid[]) AS p (person_id)
  CROSS JOIN unnest(:buckets::integer[], :grains::integer[], :starts::text[], :ends::text[])
    AS s (bucket, grain, starts_at, ends_at)
  CROSS JOIN LATERAL (
    SELECT c.bin, c.amount, c.millis FROM report_cells c
    WHERE c.workspace_id = place.workspace_id AND c.measure = 'cycle_time' AND c.grain = s.grain
      AND c.person_id = p.person_id AND c.start_at >= s.starts_at::timestamptz AND c.start_at < s.ends_at::timestamptz
    OFFSET 0
  ) found
), fresh AS (
  SELECT b.bucket, f.person_id, f.bin, f.amount, f.millis
  FROM place CROSS JOIN report_state s
  CROSS JOIN LATERAL taskbell.report_facts(s.folded_until, '18446744073709551615', place.workspace_id) f
  CROSS JOIN LATERAL (
    SELECT 0 AS bucket
    UNION ALL
    SELECT w.number FROM (SELECT width_bucket(f.at, :bounds::text[]::timestamptz[]) AS number) w WHERE w.number > 0
  ) b
  WHERE f.person_id = ANY (:people) AND f.measure = 'cycle_time'
    AND f.at >= :since::text::timestamptz AND f.at < :until::text::timestamptz AND f.at >= s.counted_from
), binned AS (
  SELECT bucket, person_id, bin, sum(amount)::float8 AS amount, sum(millis)::bigint AS millis
  FROM (SELECT * FROM folded UNION ALL SELECT * FROM fresh) AS part
  GROUP BY 1, 2, 3
), ranked AS (
  SELECT *, sum(amount) OVER (PARTITION BY bucket, person_id ORDER BY bin) AS upto,
         sum(amount) OVER (PARTITION BY bucket, person_id) AS tasks
  FROM binned
)
SELECT bucket, person_id, sum(amount)::bigint AS tasks, sum(millis)::bigint AS millis,
       min(bin) FILTER (WHERE upto * 2 >= tasks) AS median_bin,
       min(bin) FILTER (WHERE upto * 10 >= tasks * 9) AS p90_bin
FROM ranked
GROUP BY 1, 2
