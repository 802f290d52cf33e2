-- A move of a task right before or right after an anchor, whole and in one round trip. Moves within a workspace take
-- turns by its row: each sees where the one before has put its task, so that two never end on the same position.
-- Creating needs no turn. `held` are the workspaces that may write nothing for now.
--
-- It runs as its caller, so row-level security holds in it. A used-up gap (`lower`, `upper`) is for the caller to widen.
-- PostgreSQL keeps the plans of a function's statements: that they prune partitions must not depend on the transaction
-- of the first call. Each looks one id up, or reads without a lock, so pruning is safe here (`taskbell.store.roles`).
CREATE OR REPLACE FUNCTION taskbell.move_task(
  actor uuid, task_id uuid, anchor_id uuid, goes_before boolean, held uuid[], traceparent text,
  OUT outcome text, OUT document text, OUT version bigint, OUT workspace_id uuid, OUT lower bigint, OUT upper bigint
) LANGUAGE plpgsql SET enable_partition_pruning = on AS $$
#variable_conflict use_column
DECLARE
  former public.tasks;
  workspace uuid;
  stands bigint;
  place bigint;
BEGIN
  outcome := set_config('taskbell.actor', actor::text, true);
  SELECT t.workspace_id INTO workspace FROM public.tasks t WHERE t.id = task_id;
  PERFORM FROM public.workspaces w WHERE w.id = workspace FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    outcome := 'refused';
    RETURN;
  END IF;
  workspace_id := workspace;
  IF workspace = ANY (held) THEN
    outcome := 'over_quota';
    RETURN;
  END IF;
  SELECT t.* INTO former FROM public.tasks t WHERE t.id = task_id AND t.workspace_id = workspace;
  SELECT t.position INTO stands FROM public.tasks t WHERE t.id = anchor_id AND t.workspace_id = workspace;
  IF former.id IS NULL OR stands IS NULL OR anchor_id = task_id THEN
    outcome := 'no_place';
    RETURN;
  END IF;

  IF goes_before THEN
    upper := stands;
    SELECT t.position INTO lower FROM public.tasks t
    WHERE t.workspace_id = workspace AND t.position < stands AND t.id <> task_id
    ORDER BY t.position DESC, t.id DESC LIMIT 1;
  ELSE
    lower := stands;
    SELECT t.position INTO upper FROM public.tasks t
    WHERE t.workspace_id = workspace AND t.position > stands AND t.id <> task_id
    ORDER BY t.position, t.id LIMIT 1;
  END IF;
  IF coalesce(lower < former.position, true) AND coalesce(former.position < upper, true) THEN
    outcome := 'unchanged';
    document := taskbell.task_document(former);
    version := former.version;
    RETURN;
  END IF;
  place := CASE WHEN upper IS NULL THEN nextval('public.task_position') ELSE taskbell.position_between(lower, upper) END;
  IF place IS NULL THEN
    outcome := 'used_up';
    RETURN;
  END IF;

  -- One statement, because each statement of a function costs a start of its own.
  WITH moved AS (
    UPDATE public.tasks t SET position = place, version = t.version + 1, updated_at = clock_timestamp()
    WHERE t.id = task_id AND t.workspace_id = workspace
    RETURNING taskbell.task_document(t)::text AS document, t.version, t.description, t.assignee_ids
  ), told AS (
    INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
    SELECT workspace, 'task.moved', task_id, actor,
           taskbell.task_audience(workspace, former.created_by, m.assignee_ids, actor), traceparent,
           taskbell.task_event(m.document, m.description, '{"position":' || former.position || '}')
    FROM moved m
  )
  SELECT m.document, m.version INTO document, version FROM moved m;
  IF document IS NULL THEN  -- deleted while this waited, or the actor may only read it now
    outcome := 'refused';
    RETURN;
  END IF;
  outcome := 'changed';
END
$$;
COMMENT ON FUNCTION taskbell.move_task IS
  'Moves a task next to another in the name of an actor, and returns its document; or the outcome tells why it stays.';
REVOKE EXECUTE ON FUNCTION taskbell.move_task FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.move_task TO taskbell_api;
