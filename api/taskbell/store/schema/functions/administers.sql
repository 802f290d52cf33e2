CREATE OR REPLACE FUNCTION taskbell.administers(workspace uuid) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(taskbell.role_in(workspace) IN ('owner', 'admin'), false)
$$;
COMMENT ON FUNCTION taskbell.administers IS 'Whether the actor may change who belongs to a workspace.';
REVOKE EXECUTE ON FUNCTION taskbell.administers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.administers TO taskbell_api;
