-- SECURITY DEFINER: a member sees neither other members nor a bot. Workspaces before the account, and in the order of
-- their ids: else two owners who leave at once would block each other. What was joined before the account was locked is
-- locked then; afterwards nothing is joined, see refuse_deleted_account.
CREATE OR REPLACE FUNCTION taskbell.lock_departure() RETURNS TABLE (workspace_id uuid, name text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  place uuid;
BEGIN
  FOR round IN 1..2 LOOP
    FOR place IN
      SELECT m.workspace_id FROM public.memberships m WHERE m.user_id = taskbell.actor()
      UNION SELECT s.workspace_id FROM public.suspended_memberships s WHERE s.user_id = taskbell.actor() ORDER BY 1
    LOOP
      PERFORM pg_advisory_xact_lock(hashtextextended('members ' || place, 0));
      PERFORM FROM public.workspaces w WHERE w.id = place FOR NO KEY UPDATE;
    END LOOP;
    PERFORM FROM public.users u WHERE u.id = taskbell.actor() FOR NO KEY UPDATE;
  END LOOP;
  RETURN QUERY
  SELECT w.id, w.name
  FROM public.memberships own JOIN public.workspaces w ON w.id = own.workspace_id
  WHERE own.user_id = taskbell.actor() AND own.role = 'owner'
    AND taskbell.has_other_people(w.id, taskbell.actor())
    AND NOT EXISTS (SELECT FROM public.memberships m
                    WHERE m.workspace_id = w.id AND m.role = 'owner' AND m.user_id <> own.user_id)
  ORDER BY w.id;
END
$$;
COMMENT ON FUNCTION taskbell.lock_departure IS
  'Locks what the deletion of the actor changes; returns the workspaces of others that would have no owner any more.';
REVOKE EXECUTE ON FUNCTION taskbell.lock_departure FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.lock_departure TO taskbell_api;
