CREATE OR REPLACE FUNCTION taskbell.members_of(workspace uuid, past uuid, at_most integer)
  RETURNS TABLE (user_id uuid, email text, name text, role text, created_at timestamptz, is_bot boolean)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT m.user_id, u.email, u.name, m.role, m.created_at, u.bot_of IS NOT NULL
  FROM public.memberships m JOIN public.users u ON u.id = m.user_id
  WHERE m.workspace_id = workspace AND (past IS NULL OR m.user_id > past) AND taskbell.role_in(workspace) IS NOT NULL
  ORDER BY m.user_id LIMIT at_most
$$;
COMMENT ON FUNCTION taskbell.members_of IS 'A page of the members, for a member; else no row.';
REVOKE EXECUTE ON FUNCTION taskbell.members_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.members_of TO taskbell_api;
