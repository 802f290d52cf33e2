-- SECURITY DEFINER: a member may write an event that concerns another, whose membership they may not see. The sweeper
-- acts for nobody; session_user, which no statement can change, tells who it is.
CREATE OR REPLACE FUNCTION taskbell.audience(workspace uuid, concerned uuid[]) RETURNS uuid[]
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(m.user_id ORDER BY m.user_id), '{}')
  FROM public.memberships m WHERE m.user_id = ANY (concerned) AND m.workspace_id = workspace
    AND (taskbell.role_in(workspace) IS NOT NULL OR pg_has_role(session_user, 'taskbell_sweeper', 'USAGE'))
$$;
COMMENT ON FUNCTION taskbell.audience IS 'Of these users, the members of a workspace.';
REVOKE EXECUTE ON FUNCTION taskbell.audience FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.audience TO taskbell_api, taskbell_sweeper;
