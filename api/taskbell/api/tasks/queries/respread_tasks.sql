-- Gives tasks new positions, with an event each, and returns the document of the one that was to be moved.
-- `= ANY` in addition to the join looks each id up in its own partition, however long the workspace's list is.
WITH wanted AS (
  SELECT * FROM unnest(:task_ids::uuid[], :positions::bigint[]) AS w (id, position)
), former AS (
  SELECT t.id, t.position FROM tasks t
  WHERE t.id = ANY (:task_ids::uuid[]) AND t.workspace_id = :workspace_id
  ORDER BY t.id FOR NO KEY UPDATE
), task AS (
  UPDATE tasks t SET position = w.position, version = t.version + 1, updated_at = clock_timestamp()
  FROM wanted w JOIN former f ON f.id = w.id
  WHERE t.id = w.id AND t.id = ANY (:task_ids::uuid[]) AND t.workspace_id = :workspace_id
  RETURNING t.id, t.workspace_id, t.created_by, t.assignee_ids, t.version, t.description, f.position AS former,
            taskbell.task_document(t)::text AS document
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT workspace_id, 'task.moved', id, :actor,
         taskbell.task_audience(workspace_id, created_by, assignee_ids, :actor), :traceparent,
         taskbell.task_event(document, description, '{"position":' || former || '}')
  FROM task
)
SELECT id, CASE WHEN id = :moved_id THEN document END AS document, version FROM task
