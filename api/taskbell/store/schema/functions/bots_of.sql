-- SECURITY DEFINER: an administrator does not see other users.
CREATE OR REPLACE FUNCTION taskbell.bots_of(workspace uuid, only_one uuid, past uuid, at_most integer)
  RETURNS TABLE (id uuid, name text, role text, created_at timestamptz)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT u.id, u.name, m.role, u.created_at
  FROM public.users u JOIN public.memberships m ON m.user_id = u.id AND m.workspace_id = u.bot_of
  WHERE u.bot_of = workspace AND (only_one IS NULL OR u.id = only_one) AND (past IS NULL OR u.id > past)
    AND taskbell.administers(workspace)
  ORDER BY u.id LIMIT at_most
$$;
COMMENT ON FUNCTION taskbell.bots_of IS 'Bots of a workspace, for those who administer it; else no row.';
REVOKE EXECUTE ON FUNCTION taskbell.bots_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.bots_of TO taskbell_api;
