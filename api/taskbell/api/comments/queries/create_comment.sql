-- Writes a comment with its event and notifications, in a transaction of the actor that holds the task's lock: so the ids
-- of its comments are in the order in which they become visible, and no page of a list misses one. `event` is read so
-- that its id comes before those of the notifications' events. Who is mentioned is not told twice.
WITH comment AS (
  INSERT INTO comments (task_id, workspace_id, author_id, body, mention_ids)
  VALUES (:task_id, :workspace_id, :actor, :body, :mention_ids)
  RETURNING id, left(body, 300) || CASE WHEN char_length(body) > 300 THEN '…' ELSE '' END AS excerpt,
            taskbell.comment_document(comments)::text AS document
), event AS (
  INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  SELECT :workspace_id, 'comment.created', id, :actor,
         taskbell.task_audience(:workspace_id, :created_by, :assignee_ids, :actor), :traceparent, document::json
  FROM comment
  RETURNING id
)
SELECT c.document,
       CASE WHEN cardinality(:mention_ids::uuid[]) > 0 THEN
         taskbell.notify(:mention_ids, 'mention', :workspace_id, :task_id, :actor, :title, c.excerpt, :traceparent)
       ELSE 0 END
       + taskbell.notify(:created_by::uuid || :assignee_ids::uuid[] || taskbell.commenters(:workspace_id, :task_id),
                         'comment', :workspace_id, :task_id, :actor, :title, c.excerpt, :traceparent,
                         told_already => :mention_ids) AS told
FROM comment c CROSS JOIN (SELECT array_agg(id) FROM event) written
