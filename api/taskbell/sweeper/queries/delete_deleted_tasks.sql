DELETE FROM deleted_tasks WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM deleted_tasks
  WHERE deleted_at < now() - interval '7 days'
  LIMIT :at_most
))
