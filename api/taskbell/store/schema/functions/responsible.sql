CREATE OR REPLACE FUNCTION taskbell.responsible(workspace uuid, creator uuid, assignees uuid[]) RETURNS uuid[]
  LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(taskbell.audience(workspace, assignees), '{}'), ARRAY[creator])
$$;
COMMENT ON FUNCTION taskbell.responsible IS
  'Who sees to a task: those of its assignees who are still members, or its creator if there are none.';
