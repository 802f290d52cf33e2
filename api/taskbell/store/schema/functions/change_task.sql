-- A change of a task, whole and in one round trip: it locks the row, compares it with what is wanted, and writes the row,
-- its events, notifications and reminders. `sent` names the fields that get the given values; `held` are the
-- workspaces that may write nothing for now, `brimful` those whose tasks may not grow.
--
-- It runs as its caller, so row-level security holds in it. Each of its statements sees what was committed before that
-- statement began: who lost the right to change the task while this waited for the row is refused by the UPDATE.
-- Event ids are made after the row is locked, so they order the task's events; those of notifications come after them.
-- Only `task.updated` tells of a new description. Former assignees hear that they are no longer assigned. A creator who
-- has left the workspace hears nothing.
CREATE OR REPLACE FUNCTION taskbell.change_task(
  actor uuid, task_id uuid, only_version bigint, only_workspace uuid, sent text[], title text, description text,
  status text, priority smallint, start_at timestamptz, due_at timestamptz, assignee_ids uuid[], held uuid[],
  brimful uuid[], leads interval[], traceparent text,
  OUT outcome text, OUT document text, OUT version bigint, OUT workspace_id uuid, OUT kinds text[], OUT grows boolean,
  OUT strangers uuid[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  open_statuses CONSTANT text[] := '{pending,in_progress}';
  former public.tasks;
  wanted public.tasks;
  facts record;
  changes_status boolean;
  newly uuid[] := '{}';
  audience uuid[];
BEGIN
  outcome := set_config('taskbell.actor', actor::text, true);
  SELECT t.* INTO former FROM public.tasks t WHERE t.id = task_id FOR NO KEY UPDATE;
  IF former.id IS NULL THEN
    outcome := 'refused';
    RETURN;
  END IF;
  workspace_id := former.workspace_id;
  IF former.version <> only_version THEN
    outcome := 'other_version';
    RETURN;
  END IF;
  IF former.workspace_id <> only_workspace THEN
    outcome := 'other_workspace';
    RETURN;
  END IF;

  wanted := former;
  IF 'title' = ANY (sent) THEN wanted.title := title; END IF;
  IF 'description' = ANY (sent) THEN wanted.description := description; END IF;
  IF 'status' = ANY (sent) THEN wanted.status := status; END IF;
  IF 'priority' = ANY (sent) THEN wanted.priority := priority; END IF;
  IF 'start_at' = ANY (sent) THEN wanted.start_at := start_at; END IF;
  IF 'due_at' = ANY (sent) THEN wanted.due_at := due_at; END IF;
  -- The order of assignees has no meaning.
  IF 'assignee_ids' = ANY (sent)
     AND NOT (assignee_ids @> former.assignee_ids AND assignee_ids <@ former.assignee_ids) THEN
    wanted.assignee_ids := assignee_ids;
    newly := ARRAY(SELECT a.id FROM unnest(assignee_ids) AS a (id) WHERE a.id <> ALL (former.assignee_ids));
  END IF;
  IF wanted.start_at > wanted.due_at THEN
    outcome := 'start_after_due';
    RETURN;
  END IF;
  facts := taskbell.task_facts(former, wanted);
  IF facts.kinds = '{}' THEN
    outcome := 'unchanged';
    document := taskbell.task_document(former);
    version := former.version;
    RETURN;
  END IF;
  grows := coalesce(char_length(wanted.description), 0) > coalesce(char_length(former.description), 0);
  IF former.workspace_id = ANY (held) OR grows AND former.workspace_id = ANY (brimful) THEN
    outcome := 'over_quota';
    RETURN;
  END IF;
  IF newly <> '{}' THEN
    strangers := ARRAY(SELECT unnest(newly) EXCEPT SELECT unnest(taskbell.audience(former.workspace_id, newly)));
    IF strangers <> '{}' THEN
      outcome := 'not_members';
      RETURN;
    END IF;
  END IF;

  changes_status := wanted.status <> former.status;
  wanted.version := former.version + 1;
  wanted.updated_at := clock_timestamp();
  IF changes_status THEN
    wanted.status_changed_at := wanted.updated_at;
    wanted.completed_at := CASE WHEN wanted.status = 'completed' THEN wanted.updated_at END;
  END IF;
  document := taskbell.task_document(wanted);
  version := wanted.version;
  audience := taskbell.task_audience(
    former.workspace_id, former.created_by, wanted.assignee_ids || former.assignee_ids, actor);
  -- One statement, because each statement of a function costs a start of its own.
  WITH written AS (
    UPDATE public.tasks t SET
      title = wanted.title, description = wanted.description, status = wanted.status, priority = wanted.priority,
      start_at = wanted.start_at, due_at = wanted.due_at, assignee_ids = wanted.assignee_ids, version = wanted.version,
      updated_at = wanted.updated_at, status_changed_at = wanted.status_changed_at, completed_at = wanted.completed_at
    WHERE t.id = task_id AND t.workspace_id = former.workspace_id
    RETURNING true
  )
  INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT former.workspace_id, fact.kind, task_id, actor, audience, traceparent,
         taskbell.task_event(
           document,
           CASE WHEN fact.kind <> 'task.updated' OR former.description IS NOT DISTINCT FROM wanted.description
             THEN wanted.description END,
           fact.previous,
           CASE WHEN fact.kind = 'task.updated' THEN facts.omitted ELSE '{}' END)
  FROM written CROSS JOIN unnest(facts.kinds, facts.previous) WITH ORDINALITY AS fact (kind, previous, number)
  ORDER BY fact.number;
  IF NOT FOUND THEN
    outcome := 'refused';
    document := NULL;
    version := NULL;
    RETURN;
  END IF;
  IF newly <> '{}' THEN
    PERFORM taskbell.notify(
      newly, 'assigned', former.workspace_id, task_id, actor, wanted.title, 'Assigned to you', traceparent);
  END IF;
  IF changes_status THEN
    PERFORM taskbell.notify(
      former.created_by || wanted.assignee_ids, 'status_changed', former.workspace_id, task_id, actor, wanted.title,
      format('Status changed from %s to %s', former.status, wanted.status), traceparent);
  END IF;
  IF former.due_at IS DISTINCT FROM wanted.due_at
     OR (former.status = ANY (open_statuses)) <> (wanted.status = ANY (open_statuses)) THEN
    PERFORM taskbell.plan_reminders(
      task_id, former.workspace_id, CASE WHEN wanted.status = ANY (open_statuses) THEN wanted.due_at END, leads);
  END IF;
  outcome := 'changed';
  kinds := facts.kinds;
END
$$;
COMMENT ON FUNCTION taskbell.change_task IS
  'Changes a task in the name of an actor, and returns its document; or the outcome tells why it stayed as it was.';
REVOKE EXECUTE ON FUNCTION taskbell.change_task FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.change_task TO taskbell_api;
