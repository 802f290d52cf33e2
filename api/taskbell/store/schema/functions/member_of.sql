CREATE OR REPLACE FUNCTION taskbell.member_of(workspace uuid, person uuid)
  RETURNS TABLE (user_id uuid, email text, name text, role text, created_at timestamptz, is_bot boolean)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT m.user_id, u.email, u.name, m.role, m.created_at, u.bot_of IS NOT NULL
  FROM public.memberships m JOIN public.users u ON u.id = m.user_id
  WHERE m.workspace_id = workspace AND m.user_id = person AND taskbell.administers(workspace)
$$;
COMMENT ON FUNCTION taskbell.member_of IS 'A member, for who may change who belongs to the workspace; else no row.';
REVOKE EXECUTE ON FUNCTION taskbell.member_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.member_of TO taskbell_api;
