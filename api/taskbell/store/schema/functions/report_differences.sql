-- An event is written within an hour of what it tells; transaction ids of a range of event ids are found first, so that
-- events are read by the index that reports read them by. A span of 16 days is the sum of its days.
CREATE OR REPLACE FUNCTION taskbell.report_differences(since timestamptz, until timestamptz)
  RETURNS TABLE (
    workspace_id uuid, measure text, grain integer, person_id uuid, start_at timestamptz, bin integer, amount bigint,
    millis bigint
  ) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
  WITH bound AS (
    SELECT s.folded_until,
           rpad(lpad(to_hex((extract(epoch FROM report_differences.since) * 1000)::bigint), 12, '0'), 32, '0')::uuid
             AS first_id,
           rpad(lpad(to_hex((extract(epoch FROM report_differences.until + interval '1 h') * 1000)::bigint), 12, '0'),
                32, '0')::uuid AS next_id
    FROM public.report_state s
  ), range AS (
    SELECT b.folded_until,
           (SELECT e.xid FROM public.events e WHERE e.id >= b.first_id AND e.id < b.next_id ORDER BY e.xid LIMIT 1)
             AS first_xid
    FROM bound b
  ), fact AS (
    SELECT f.* FROM range r CROSS JOIN LATERAL taskbell.report_facts(r.first_xid, r.folded_until, NULL) f
    WHERE f.measure NOT IN ('pending', 'in_progress')
      AND f.at >= report_differences.since AND f.at < report_differences.until
  ), expected AS (
    SELECT f.workspace_id, f.measure, g.grain, f.person_id, taskbell.report_start(g.grain, f.at) AS start_at, f.bin,
           sum(f.amount)::bigint AS amount, sum(f.millis)::bigint AS millis
    FROM fact f CROSS JOIN unnest('{15,180,1440}'::integer[]) AS g (grain)
    GROUP BY 1, 2, 3, 4, 5, 6
    UNION ALL
    SELECT c.workspace_id, c.measure, g.coarse, c.person_id, taskbell.report_start(g.coarse, c.start_at), c.bin,
           sum(c.amount)::bigint, sum(c.millis)::bigint
    FROM public.report_cells c
    JOIN (VALUES (1440, 23040), (23040, 0)) AS g (fine, coarse) ON g.fine = c.grain
    WHERE c.measure NOT IN ('pending', 'in_progress')
    GROUP BY 1, 2, 3, 4, 5, 6
  )
  SELECT workspace_id, measure, grain, person_id, start_at, bin, coalesce(e.amount, 0)::bigint,
         coalesce(e.millis, 0)::bigint
  FROM expected e
  FULL JOIN (
    SELECT * FROM public.report_cells c
    WHERE c.measure NOT IN ('pending', 'in_progress')
      AND (c.grain IN (0, 23040) OR c.start_at >= report_differences.since AND c.start_at < report_differences.until)
  ) c USING (workspace_id, measure, grain, person_id, start_at, bin)
  WHERE coalesce(e.amount, 0) <> coalesce(c.amount, 0) OR coalesce(e.millis, 0) <> coalesce(c.millis, 0)
$$;
COMMENT ON FUNCTION taskbell.report_differences IS
  'The cells of some days that are not what their events tell, and those of 16 days that are not the sum of their days, '
  'with their right values.';
REVOKE EXECUTE ON FUNCTION taskbell.report_differences FROM PUBLIC;
