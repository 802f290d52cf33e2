-- SECURITY DEFINER: a policy of `memberships` that read `memberships` itself would never end.
CREATE OR REPLACE FUNCTION taskbell.role_in(workspace uuid) RETURNS text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT m.role FROM public.memberships m WHERE m.user_id = taskbell.actor() AND m.workspace_id = workspace
$$;
COMMENT ON FUNCTION taskbell.role_in IS 'The actor''s role in a workspace, NULL for a stranger.';
REVOKE EXECUTE ON FUNCTION taskbell.role_in FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.role_in TO taskbell_api;
