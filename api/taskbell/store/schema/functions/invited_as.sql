-- SECURITY DEFINER: an invited person does not see whether the one who invited still may.
CREATE OR REPLACE FUNCTION taskbell.invited_as(workspace uuid) RETURNS text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT i.role FROM taskbell.invitations_to_actor(NULL, NULL, NULL) i WHERE i.workspace_id = workspace
$$;
COMMENT ON FUNCTION taskbell.invited_as IS 'The role that the actor may accept in a workspace, NULL for none.';
REVOKE EXECUTE ON FUNCTION taskbell.invited_as FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.invited_as TO taskbell_api;
