-- $1 workspace, $2 user, $3 number of tasks
INSERT INTO tasks (workspace_id, title, status, priority, due_at, created_by, created_at, updated_at)
SELECT $1, 'Task ' || g, CASE g % 4 WHEN 0 THEN 'completed' ELSE 'pending' END, 1 + g % 10,
       now() + g * interval '1 minute', $2, now(), now()
FROM generate_series(1, $3::int) g
