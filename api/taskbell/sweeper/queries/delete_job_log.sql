-- A lead may be longer than 30 days: until a task was due, a person who reopens it plans the same reminder again. A
-- stale task is found until the change of its status is 90 days old (tell_stale); a day more for a sweep that runs now.
DELETE FROM job_log WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM job_log
  WHERE finished_at < now() - interval '30 days'
    AND CASE WHEN job_id LIKE 'due_soon:%' THEN to_timestamp(split_part(job_id, ':', 3)::float8) < now()
             WHEN job_id LIKE 'stale:%'
             THEN to_timestamp(split_part(job_id, ':', 3)::float8) < now() - interval '91 days'
             ELSE true END
  LIMIT :at_most
))
