-- $1 task. Row-level security admits only tasks the actor may change.
SELECT id, workspace_id, title, description, status, priority, position, start_at, due_at, assignee_ids, version,
       created_by, taskbell.task_document(t)::text AS document
FROM tasks t
WHERE id = $1
FOR NO KEY UPDATE
