-- No row: the actor sees no such task.
INSERT INTO task_subscriptions AS s (task_id, user_id, workspace_id, state)
SELECT t.id, :actor, t.workspace_id, :state FROM tasks t WHERE t.id = :task_id
ON CONFLICT (task_id, user_id) DO UPDATE SET state = excluded.state
RETURNING s.task_id, s.state, s.created_at
