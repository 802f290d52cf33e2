DELETE FROM task_subscriptions WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM task_subscriptions WHERE user_id = :id LIMIT :at_most
))
