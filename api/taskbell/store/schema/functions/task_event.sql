-- The data of a task's event: the task as it is now, the old values of what changed (`previous`), and the JSON Pointers
-- (RFC 6901) of the long texts that are left out (`omitted`). A description that did not change is left out when it is
-- longer than 4,096 bytes as JSON text: whoever follows the task has it. `unchanged_description` is NULL when it changed.
-- The document's own text is cut, so that there is one list of a task's fields.
CREATE OR REPLACE FUNCTION taskbell.task_event(
  document text, unchanged_description text, previous text DEFAULT NULL, omitted text[] DEFAULT '{}'
) RETURNS json LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  description text := to_json(unchanged_description);
BEGIN
  IF octet_length(description) > 4096 THEN
    document := replace(document, '"description":' || description || ',', '');
    omitted := omitted || '/description'::text;
  END IF;
  RETURN left(document, -1)
    || coalesce(',"previous":' || previous, '')
    || CASE WHEN omitted <> '{}' THEN ',"omitted":' || to_json(omitted) ELSE '' END
    || '}';
END
$$;
