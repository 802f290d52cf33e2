-- Triggers of `tasks` call it for tasks that have or had assignees. SECURITY DEFINER: nobody else writes `assignments`.
CREATE OR REPLACE FUNCTION taskbell.record_assignments() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    DELETE FROM public.assignments a WHERE a.task_id = OLD.id;
    RETURN NULL;
  END IF;
  IF TG_OP = 'UPDATE' THEN
    DELETE FROM public.assignments a WHERE a.task_id = NEW.id AND a.user_id <> ALL (NEW.assignee_ids);
  END IF;
  INSERT INTO public.assignments (user_id, task_id, workspace_id, position, priority, due_at, created_at, updated_at)
  SELECT DISTINCT assignee, NEW.id, NEW.workspace_id, NEW.position, NEW.priority, NEW.due_at, NEW.created_at,
         NEW.updated_at
  FROM unnest(NEW.assignee_ids) AS assignee
  ON CONFLICT (task_id, user_id) DO UPDATE
    SET position = excluded.position, priority = excluded.priority, due_at = excluded.due_at,
        created_at = excluded.created_at, updated_at = excluded.updated_at;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION taskbell.record_assignments IS
  'Keeps, for each assignee of a task, a row with the task''s sort keys.';
REVOKE EXECUTE ON FUNCTION taskbell.record_assignments FROM PUBLIC;
