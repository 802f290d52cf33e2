CREATE OR REPLACE FUNCTION taskbell.plan_reminders(task uuid, workspace uuid, due timestamptz, leads interval[])
  RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  planned integer;
BEGIN
  DELETE FROM public.reminders r WHERE r.task_id = task;
  INSERT INTO public.reminders (task_id, workspace_id, kind, lead, fire_at)
  SELECT task, workspace, 'due_soon', l.lead, greatest(due - l.lead, now())
  FROM unnest(leads) AS l (lead)
  WHERE due > now()
    AND (due - l.lead > now()
         OR l.lead = (SELECT min(p.lead) FROM unnest(leads) AS p (lead) WHERE due - p.lead <= now()))
  UNION ALL
  SELECT task, workspace, 'overdue', interval '0', due WHERE due > now();
  GET DIAGNOSTICS planned = ROW_COUNT;
  RETURN planned;
END
$$;
COMMENT ON FUNCTION taskbell.plan_reminders IS
  'Replaces a task''s reminders; of those whose time is past already the nearest fires at once. One more fires when the '
  'task becomes overdue. No due time, or one that is past already: none.';
