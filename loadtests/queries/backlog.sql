-- $1 number of events
INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data)
SELECT workspace_id, 'task.updated', id, created_by, ARRAY[created_by], taskbell.task_document(tasks)
FROM tasks LIMIT $1
