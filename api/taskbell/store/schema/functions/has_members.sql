-- SECURITY DEFINER: the founder of a workspace may have been removed from it, and then sees no membership of it.
CREATE OR REPLACE FUNCTION taskbell.has_members(workspace uuid) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM public.memberships m WHERE m.workspace_id = workspace)
    OR EXISTS (SELECT FROM public.suspended_memberships s WHERE s.workspace_id = workspace)
$$;
COMMENT ON FUNCTION taskbell.has_members IS 'Whether anybody belongs to a workspace, deleted or not; false while it is founded.';
REVOKE EXECUTE ON FUNCTION taskbell.has_members FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.has_members TO taskbell_api;
