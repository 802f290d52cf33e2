-- Their comments, subscriptions and reminders go with them.
DELETE FROM tasks WHERE (id, workspace_id) IN (
  SELECT id, workspace_id FROM tasks WHERE workspace_id = :id ORDER BY position, id LIMIT :at_most
)
