-- $1 workspace, $2 user, $3 number of tasks, $4 assignees. Of a year: 60 % completed, 10 % cancelled, the others open.
INSERT INTO tasks (workspace_id, title, status, due_at, assignee_ids, created_by, created_at, updated_at, status_changed_at,
                   completed_at)
SELECT $1, 'Task ' || t.number, t.status, t.created_at + random() * interval '400 days',
       ARRAY[($4::uuid[])[1 + t.number % cardinality($4)]], $2, t.created_at, t.ended_at, t.ended_at,
       CASE WHEN t.status = 'completed' THEN t.ended_at END
FROM (
  SELECT g AS number, c.created_at,
         least(c.created_at + power(random(), 4) * interval '60 days', now() - interval '1 minute') AS ended_at,
         CASE WHEN g % 10 < 6 THEN 'completed' WHEN g % 10 = 6 THEN 'cancelled' WHEN g % 10 < 9 THEN 'pending'
              ELSE 'in_progress' END AS status
  FROM generate_series(1, $3::int) g
  CROSS JOIN LATERAL (SELECT now() - interval '1 hour' - random() * interval '364 days' + g * interval '0 s') AS c (created_at)
) t
