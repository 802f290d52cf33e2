DELETE FROM task_subscriptions WHERE task_id = :task_id AND user_id = :actor
