CREATE OR REPLACE FUNCTION taskbell.refused_workspaces()
  RETURNS TABLE (workspace_id uuid, refused_for float8, tasks_full boolean)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT u.workspace_id, coalesce(extract(epoch FROM greatest(u.refused_until - now(), '0')), 0)::float8, u.tasks_full
  FROM public.workspace_usage u WHERE u.refused_until > now() OR u.tasks_full
$$;
COMMENT ON FUNCTION taskbell.refused_workspaces IS
  'Which workspaces may write nothing for some seconds, or may not let their tasks grow.';
REVOKE EXECUTE ON FUNCTION taskbell.refused_workspaces FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.refused_workspaces TO taskbell_api, taskbell_relay;
