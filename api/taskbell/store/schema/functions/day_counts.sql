-- SECURITY DEFINER: the sweeper learns how many, and nothing of whose and what.
CREATE OR REPLACE FUNCTION taskbell.day_counts(
  person uuid, until timestamptz, OUT due_today integer, OUT overdue integer, OUT unread integer
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  counted CONSTANT integer := 10000;
  own uuid[] := ARRAY(SELECT m.workspace_id FROM public.memberships m WHERE m.user_id = person);
BEGIN
  SELECT count(*) FILTER (WHERE d.due_at > now()), count(*) FILTER (WHERE d.due_at <= now())
  INTO due_today, overdue
  FROM (
    SELECT t.due_at
    FROM (SELECT a.task_id, a.workspace_id FROM public.assignments a
          WHERE a.user_id = person AND least(a.due_at, 'infinity'::timestamptz) < until
          ORDER BY least(a.due_at, 'infinity'::timestamptz) DESC LIMIT counted) a
    CROSS JOIN LATERAL (
      SELECT t.due_at FROM public.tasks t
      WHERE t.id = a.task_id AND t.workspace_id = a.workspace_id AND t.status IN ('pending', 'in_progress')
      LIMIT 1
    ) t
    WHERE a.workspace_id = ANY (own)
    UNION ALL
    SELECT t.due_at
    FROM (SELECT c.due_at, c.workspace_id, c.status, c.assignee_ids FROM public.tasks c
          WHERE c.created_by = person AND least(c.due_at, 'infinity'::timestamptz) < until
          ORDER BY least(c.due_at, 'infinity'::timestamptz) DESC LIMIT counted) t
    WHERE t.workspace_id = ANY (own) AND t.status IN ('pending', 'in_progress') AND cardinality(t.assignee_ids) = 0
  ) d;
  SELECT count(*) INTO unread
  FROM (SELECT FROM public.notifications n
        WHERE n.user_id = person AND n.read_at IS NULL AND n.kind <> 'digest' AND NOT EXISTS (
          SELECT FROM public.suspended_memberships s WHERE s.user_id = person AND s.workspace_id = n.workspace_id)
        LIMIT counted) n;
END
$$;
COMMENT ON FUNCTION taskbell.day_counts IS
  'Of a user''s open tasks in all workspaces: those due from now until a time, and those overdue; and the unread '
  'notifications, without digests. Theirs are the tasks assigned to them, and those that they created and assigned to '
  'nobody. Counts among the 10,000 tasks due last, assigned and created each, and up to 10,000 notifications.';
REVOKE EXECUTE ON FUNCTION taskbell.day_counts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.day_counts TO taskbell_sweeper;
