-- Deletes a comment, if the actor may, and writes its event. No row: there is none, or the actor may not.
WITH comment AS (
  DELETE FROM comments WHERE id = :comment_id AND task_id = :task_id
  RETURNING id, workspace_id, task_id, taskbell.comment_document(comments) AS document
)
INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
SELECT c.workspace_id, 'comment.deleted', c.id, :actor,
       taskbell.task_audience(c.workspace_id, t.created_by, t.assignee_ids, :actor), :traceparent, c.document
FROM comment c JOIN tasks t ON t.id = c.task_id AND t.workspace_id = c.workspace_id
