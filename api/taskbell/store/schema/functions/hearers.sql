-- SECURITY DEFINER: a member sees neither who else watches a task nor who muted it, and not the membership of others.
-- The sweeper acts for nobody; session_user, which no statement can change, tells who it is.
CREATE OR REPLACE FUNCTION taskbell.hearers(
  workspace uuid, task uuid, concerned uuid[], watched boolean, passes_mute boolean
) RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (
    SELECT coalesce(array_agg(m.user_id ORDER BY m.user_id), '{}')
    FROM public.memberships m
    WHERE m.workspace_id = workspace
      AND m.user_id = ANY (concerned || CASE WHEN watched THEN ARRAY(
        SELECT s.user_id FROM public.task_subscriptions s WHERE s.task_id = task AND s.state = 'watching') END)
      AND (passes_mute OR NOT EXISTS (
        SELECT FROM public.task_subscriptions s
        WHERE s.task_id = task AND s.user_id = m.user_id AND s.state = 'muted'))
      AND (taskbell.role_in(workspace) IS NOT NULL OR pg_has_role(session_user, 'taskbell_sweeper', 'USAGE'))
  );
END
$$;
COMMENT ON FUNCTION taskbell.hearers IS
  'Of these users and, if wanted, those who watch the task: the members of the workspace who did not mute it.';
REVOKE EXECUTE ON FUNCTION taskbell.hearers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.hearers TO taskbell_api, taskbell_sweeper;
