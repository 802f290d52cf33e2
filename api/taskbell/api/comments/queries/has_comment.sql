-- Whether the actor sees a comment on a task.
SELECT 1 FROM comments WHERE id = :comment_id AND task_id = :task_id
