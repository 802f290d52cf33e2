-- SECURITY DEFINER: counts invitations of other workspaces, too. For those who administer the workspace; else no row.
CREATE OR REPLACE FUNCTION taskbell.invitation_load(workspace uuid, address text)
  RETURNS TABLE (is_member boolean, members bigint, of_workspace bigint, by_user bigint, to_recipient bigint,
                 by_user_to_recipient bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT
    EXISTS (SELECT FROM public.users u JOIN public.memberships m ON m.user_id = u.id
            WHERE lower(u.email) = address AND m.workspace_id = workspace),
    (SELECT count(*) FROM public.memberships m WHERE m.workspace_id = workspace),
    (SELECT count(*) FROM public.invitations i
     WHERE i.workspace_id = workspace AND i.expires_at > now() AND i.email <> address),
    (SELECT count(*) FROM public.invitations i
     WHERE i.invited_by = taskbell.actor() AND i.expires_at > now()
       AND (i.workspace_id, i.email) <> (workspace, address)),
    -- Those of `invitations_to_actor`: what a person cannot see cannot be answered either, and would count for days.
    (SELECT count(*) FROM public.invitations i
     JOIN public.memberships m ON m.user_id = i.invited_by AND m.workspace_id = i.workspace_id
     WHERE i.email = address AND i.expires_at > now() AND i.workspace_id <> workspace
       AND i.withdrawn_at IS NULL AND i.declined_at IS NULL
       AND (m.role = 'owner' OR (m.role = 'admin' AND i.role <> 'owner'))),
    (SELECT count(*) FROM public.invitations i
     WHERE i.email = address AND i.expires_at > now() AND i.workspace_id <> workspace
       AND i.invited_by = taskbell.actor())
  WHERE taskbell.administers(workspace)
$$;
COMMENT ON FUNCTION taskbell.invitation_load IS
  'What bounds an invitation, without a former one of the same address to the same workspace, which it replaces.';
REVOKE EXECUTE ON FUNCTION taskbell.invitation_load FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.invitation_load TO taskbell_api;
