-- SECURITY DEFINER: nobody sees a deleted workspace.
CREATE OR REPLACE FUNCTION taskbell.deleted_workspaces(past uuid, at_most integer)
  RETURNS TABLE (id uuid, name text, created_at timestamptz, deleted_at timestamptz, restorable_until timestamptz)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT w.id, w.name, w.created_at, w.deleted_at, w.restorable_until
  FROM public.suspended_memberships s JOIN public.workspaces w ON w.id = s.workspace_id
  WHERE s.user_id = taskbell.actor() AND s.role = 'owner' AND w.restorable_until > now() AND (past IS NULL OR w.id > past)
  ORDER BY w.id LIMIT at_most
$$;
COMMENT ON FUNCTION taskbell.deleted_workspaces IS 'A page of the deleted workspaces that the actor may restore.';
REVOKE EXECUTE ON FUNCTION taskbell.deleted_workspaces FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.deleted_workspaces TO taskbell_api;
