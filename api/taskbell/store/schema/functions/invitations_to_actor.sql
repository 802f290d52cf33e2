-- SECURITY DEFINER: an invited person is told the names of the workspace and of the one who invites, and nothing else of
-- the workspace. An invitation ends with the right of the one who made it.
CREATE OR REPLACE FUNCTION taskbell.invitations_to_actor(wanted uuid, past uuid, at_most integer)
  RETURNS TABLE (id uuid, workspace_id uuid, workspace_name text, role text, invited_by uuid, inviter_name text,
                 inviter_email text, created_at timestamptz, expires_at timestamptz, declined_at timestamptz,
                 members bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT i.id, i.workspace_id, w.name, i.role, i.invited_by, inviter.name, inviter.email, i.created_at, i.expires_at,
         i.declined_at,
         CASE WHEN wanted IS NOT NULL THEN
           (SELECT count(*) FROM public.memberships other WHERE other.workspace_id = i.workspace_id)
         END
  FROM public.users me
  JOIN public.invitations i ON i.email = lower(me.email)
  JOIN public.workspaces w ON w.id = i.workspace_id
  JOIN public.users inviter ON inviter.id = i.invited_by
  JOIN public.memberships m ON m.user_id = i.invited_by AND m.workspace_id = i.workspace_id
  WHERE me.id = taskbell.actor() AND i.withdrawn_at IS NULL AND i.expires_at > now()
    AND (m.role = 'owner' OR (m.role = 'admin' AND i.role <> 'owner'))
    AND (wanted IS NULL OR i.id = wanted) AND (past IS NULL OR i.id > past)
  ORDER BY i.id LIMIT at_most
$$;
COMMENT ON FUNCTION taskbell.invitations_to_actor IS
  'A page of the invitations that the actor may accept, or the wanted one with the number of members there.';
REVOKE EXECUTE ON FUNCTION taskbell.invitations_to_actor FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.invitations_to_actor TO taskbell_api;
