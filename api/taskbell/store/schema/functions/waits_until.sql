-- VOLATILE, so that it sees a restoration that commits while the sweep runs.
CREATE OR REPLACE FUNCTION taskbell.waits_until(workspace uuid) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
  deadline timestamptz;
BEGIN
  SELECT w.restorable_until INTO deadline FROM public.workspaces w WHERE w.id = workspace;
  RETURN CASE WHEN deadline > now() THEN deadline WHEN deadline IS NULL THEN now() ELSE now() + interval '1 day' END;
END
$$;
COMMENT ON FUNCTION taskbell.waits_until IS
  'Until when a due reminder of a deleted workspace waits: the deadline of the restoration, or now if it is restored.';
REVOKE EXECUTE ON FUNCTION taskbell.waits_until FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.waits_until TO taskbell_sweeper;
