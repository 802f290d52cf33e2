-- SECURITY DEFINER: it suspends memberships that its owner cannot change. All policies ask for a membership, so without
-- one the workspace is hidden from everybody, and no statement about tasks asks for more than before. The lock makes it
-- wait for members who are being added; in each statement after it, everything that has committed is seen.
CREATE OR REPLACE FUNCTION taskbell.delete_workspace(workspace uuid, keep interval, traceparent text) RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('members ' || workspace, 0));
  PERFORM FROM public.workspaces w WHERE w.id = workspace FOR NO KEY UPDATE;
  IF taskbell.role_in(workspace) IS DISTINCT FROM 'owner' THEN
    RETURN 'refused';
  END IF;
  IF EXISTS (SELECT FROM public.memberships m JOIN public.users u ON u.id = m.user_id
             WHERE m.workspace_id = workspace AND u.personal_workspace_id = workspace AND u.bot_of IS NULL) THEN
    RETURN 'personal';
  END IF;
  UPDATE public.workspaces w SET deleted_at = clock_timestamp(), restorable_until = clock_timestamp() + keep
  WHERE w.id = workspace;
  -- Who listens to the workspace hears it in any case; so many hear it on their own channel.
  INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT w.id, 'workspace.deleted', w.id, taskbell.actor(),
    ARRAY(SELECT m.user_id FROM public.memberships m WHERE m.workspace_id = w.id
          ORDER BY m.role <> 'owner', m.user_id LIMIT 1000),
    delete_workspace.traceparent,
    json_build_object('id', w.id, 'name', w.name, 'restorable_until', taskbell.rfc3339(w.restorable_until))
  FROM public.workspaces w WHERE w.id = workspace;
  WITH gone AS (
    DELETE FROM public.memberships m WHERE m.workspace_id = workspace RETURNING m.user_id, m.role, m.created_at
  )
  INSERT INTO public.suspended_memberships (user_id, workspace_id, role, created_at)
  SELECT g.user_id, workspace, g.role, g.created_at FROM gone g;
  RETURN 'deleted';
END
$$;
COMMENT ON FUNCTION taskbell.delete_workspace IS
  'Hides a workspace that the actor owns, until it is restored or erased: deleted, personal or refused.';
REVOKE EXECUTE ON FUNCTION taskbell.delete_workspace FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.delete_workspace TO taskbell_api;
