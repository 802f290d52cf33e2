UPDATE deliveries SET state = 'pending', attempts = 0, due_at = now(), error = NULL,
  give_up_at = now() + greatest(give_up_at - created_at, interval '10 minutes')
WHERE state = 'dead' AND id = ANY (:ids::uuid[])
