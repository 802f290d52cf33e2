-- A lead may be longer than 30 days: until a task was due, a person who reopens it plans the same reminder again.
DELETE FROM job_log WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM job_log
  WHERE finished_at < now() - interval '30 days'
    AND CASE WHEN job_id LIKE 'due_soon:%' THEN to_timestamp(split_part(job_id, ':', 3)::float8) < now() ELSE true END
  LIMIT :at_most
))
