-- Who has a sum or a newer fact of these measures, in the order of their ids. It goes from one person to the next by the
-- key, however many sums each has.
WITH RECURSIVE actor AS MATERIALIZED (
  SELECT set_config('taskbell.actor', :actor::uuid::text, true)::uuid AS id
), known AS (
  SELECT m.measure, 1 AS number, found.person_id
  FROM actor CROSS JOIN unnest(:measures::text[]) AS m (measure)
  CROSS JOIN LATERAL (
    SELECT c.person_id FROM report_cells c
    WHERE c.workspace_id = CASE WHEN actor.id IS NOT NULL THEN :workspace_id::uuid END
      AND c.measure = m.measure AND c.grain = 0 AND c.person_id > :after
    ORDER BY c.person_id LIMIT 1
  ) found
  UNION ALL
  SELECT k.measure, k.number + 1, found.person_id
  FROM known k CROSS JOIN LATERAL (
    SELECT c.person_id FROM report_cells c
    WHERE c.workspace_id = :workspace_id AND c.measure = k.measure AND c.grain = 0 AND c.person_id > k.person_id
    ORDER BY c.person_id LIMIT 1
  ) found
  WHERE k.number < :at_most
)
SELECT person_id FROM known
UNION
SELECT f.person_id
FROM actor CROSS JOIN report_state s
CROSS JOIN LATERAL taskbell.report_facts(
  s.folded_until, '18446744073709551615', CASE WHEN actor.id IS NOT NULL THEN :workspace_id::uuid END) f
WHERE f.measure = ANY (:measures) AND f.person_id > :after
ORDER BY person_id LIMIT :at_most
