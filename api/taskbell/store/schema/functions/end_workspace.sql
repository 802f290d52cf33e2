-- Nobody sees a workspace without members. Its founder, who may have left before, would, so it is nobody's.
CREATE OR REPLACE FUNCTION taskbell.end_workspace(workspace uuid) RETURNS void LANGUAGE sql AS $$
  DELETE FROM public.memberships m WHERE m.workspace_id = workspace;
  DELETE FROM public.webhooks w WHERE w.workspace_id = workspace;
  UPDATE public.invitations i SET withdrawn_at = clock_timestamp()
  WHERE i.workspace_id = workspace AND i.withdrawn_at IS NULL;
  UPDATE public.workspaces w SET name = 'Deleted workspace', created_by = taskbell.actor() WHERE w.id = workspace;
  INSERT INTO public.erasures (id, kind) VALUES (workspace, 'workspace');
$$;
COMMENT ON FUNCTION taskbell.end_workspace IS
  'Ends a workspace that the actor, who is deleted, was the only person in; maintenance erases what is in it.';
REVOKE EXECUTE ON FUNCTION taskbell.end_workspace FROM PUBLIC;
