-- SECURITY DEFINER: nobody belongs to a deleted workspace. Reminders that came due meanwhile wait with the deadline as
-- their time (see the sweeper's fire_due), and fire now.
CREATE OR REPLACE FUNCTION taskbell.restore_workspace(workspace uuid, traceparent text) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  deadline timestamptz;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('members ' || workspace, 0));
  SELECT w.restorable_until INTO deadline FROM public.workspaces w WHERE w.id = workspace FOR NO KEY UPDATE;
  IF deadline IS NULL OR deadline <= clock_timestamp() OR NOT EXISTS (
    SELECT FROM public.suspended_memberships s
    WHERE s.user_id = taskbell.actor() AND s.workspace_id = workspace AND s.role = 'owner'
  ) THEN
    RETURN false;
  END IF;
  WITH back AS (
    DELETE FROM public.suspended_memberships s WHERE s.workspace_id = workspace
    RETURNING s.user_id, s.role, s.created_at
  )
  INSERT INTO public.memberships (user_id, workspace_id, role, created_at)
  SELECT b.user_id, workspace, b.role, b.created_at FROM back b;
  UPDATE public.workspaces w SET deleted_at = NULL, restorable_until = NULL WHERE w.id = workspace;
  UPDATE public.reminders r SET fire_at = now() WHERE r.fire_at = deadline AND r.workspace_id = workspace;
  INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT w.id, 'workspace.restored', w.id, taskbell.actor(),
    ARRAY(SELECT m.user_id FROM public.memberships m WHERE m.workspace_id = w.id
          ORDER BY m.role <> 'owner', m.user_id LIMIT 1000),
    restore_workspace.traceparent, json_build_object('id', w.id, 'name', w.name)
  FROM public.workspaces w WHERE w.id = workspace;
  RETURN true;
END
$$;
COMMENT ON FUNCTION taskbell.restore_workspace IS
  'Brings a deleted workspace back that the actor owned, before its deadline; returns whether it did.';
REVOKE EXECUTE ON FUNCTION taskbell.restore_workspace FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.restore_workspace TO taskbell_api;
