-- What a change of a task means, decided from its rows before and after alone: a kind of event for each fact, with the
-- old values of what changed as a JSON object. `omitted` are JSON Pointers (RFC 6901) of old values that are not told:
-- only a description is ever longer than 4,096 bytes as JSON text, and whoever follows the task has it.
CREATE OR REPLACE FUNCTION taskbell.task_facts(
  former tasks, wanted tasks, OUT kinds text[], OUT previous text[], OUT omitted text[]
) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
  changes_description boolean := former.description IS DISTINCT FROM wanted.description;
  long boolean := changes_description AND octet_length(to_json(former.description)::text) > 4096;
  others text := concat_ws(',',
    CASE WHEN former.title <> wanted.title THEN '"title":' || to_json(former.title) END,
    CASE WHEN changes_description AND long IS NOT TRUE
      THEN '"description":' || coalesce(to_json(former.description)::text, 'null') END,
    CASE WHEN former.priority <> wanted.priority THEN '"priority":' || former.priority END,
    CASE WHEN former.start_at IS DISTINCT FROM wanted.start_at
      THEN '"start_at":' || coalesce(to_json(taskbell.rfc3339(former.start_at))::text, 'null') END,
    CASE WHEN former.due_at IS DISTINCT FROM wanted.due_at
      THEN '"due_at":' || coalesce(to_json(taskbell.rfc3339(former.due_at))::text, 'null') END);
BEGIN
  kinds := '{}';
  previous := '{}';
  omitted := CASE WHEN long THEN '{/previous/description}' ELSE '{}' END;
  IF others <> '' OR long THEN
    kinds := kinds || 'task.updated'::text;
    previous := previous || ('{' || others || '}');
  END IF;
  IF former.status <> wanted.status THEN
    kinds := kinds || 'task.status_changed'::text;
    previous := previous || ('{"status":' || to_json(former.status) || '}');
  END IF;
  IF former.assignee_ids <> wanted.assignee_ids THEN
    kinds := kinds || 'task.assigned'::text;
    previous := previous || ('{"assignee_ids":' || to_json(former.assignee_ids) || '}');
  END IF;
END
$$;
COMMENT ON FUNCTION taskbell.task_facts IS
  'The events that a change of a task causes, each with the old values of its fields; none if nothing changes.';
