-- Whether the actor may at least see a task.
SELECT 1 FROM tasks WHERE id = :task_id
