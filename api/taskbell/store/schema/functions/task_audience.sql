CREATE OR REPLACE FUNCTION taskbell.task_audience(workspace uuid, creator uuid, assignees uuid[], actor uuid)
  RETURNS uuid[] LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN creator = actor AND cardinality(assignees) = 0 THEN ARRAY[creator]
              ELSE taskbell.audience(workspace, creator || assignees) END
$$;
COMMENT ON FUNCTION taskbell.task_audience IS
  'Whom a task''s event concerns. Who created the task may have left since; the actor is known to be a member.';
