-- SECURITY DEFINER: nobody belongs to a deleted workspace. Reminders that came due meanwhile wait with the deadline as
-- their time (see the sweeper's fire_due), and fire now. Those that are due may just be sent to wait: the UPDATE waits
-- for the sweep, and then looks again.
CREATE OR REPLACE FUNCTION taskbell.restore_workspace(workspace uuid, traceparent text) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  deadline timestamptz;
  soon CONSTANT timestamptz := clock_timestamp() + interval '1 minute';
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
  UPDATE public.reminders r SET fire_at = CASE WHEN r.fire_at = deadline THEN now() ELSE r.fire_at END
  WHERE r.workspace_id = workspace AND (r.fire_at = deadline OR r.fire_at <= soon);
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
