CREATE OR REPLACE FUNCTION taskbell.task_bytes(workspace uuid) RETURNS bigint
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT (
    SELECT coalesce(sum(500 + pg_column_size(t.title) + coalesce(pg_column_size(t.description), 0)
      + pg_column_size(t.assignee_ids)), 0)
    FROM public.tasks t WHERE t.workspace_id = workspace
  )::bigint + (
    SELECT coalesce(sum(300 + pg_column_size(c.body) + pg_column_size(c.mention_ids)), 0)
    FROM public.comments c WHERE c.workspace_id = workspace
  )::bigint
$$;
COMMENT ON FUNCTION taskbell.task_bytes IS
  'About how many bytes the tasks of a workspace take with their comments and all indexes: a row of a task takes 500 '
  'besides its texts, one of a comment 300.';
REVOKE EXECUTE ON FUNCTION taskbell.task_bytes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.task_bytes TO taskbell_relay;
