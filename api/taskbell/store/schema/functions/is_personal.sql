CREATE OR REPLACE FUNCTION taskbell.is_personal(workspace uuid, person uuid) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT taskbell.role_in(workspace) IS NOT NULL
    AND EXISTS (SELECT FROM public.users u
                WHERE u.id = person AND u.personal_workspace_id = workspace AND u.bot_of IS NULL)
$$;
COMMENT ON FUNCTION taskbell.is_personal IS
  'For a member: whether a workspace is the personal one of a person, who therefore stays in it.';
REVOKE EXECUTE ON FUNCTION taskbell.is_personal FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.is_personal TO taskbell_api;
