-- It goes from one author to the next by the index, so a task with thousands of comments costs no more than its authors.
CREATE OR REPLACE FUNCTION taskbell.commenters(workspace uuid, task uuid) RETURNS uuid[] LANGUAGE sql STABLE AS $$
  WITH RECURSIVE author AS (
    (SELECT c.author_id AS id FROM comments c WHERE c.workspace_id = workspace AND c.task_id = task
     ORDER BY c.author_id LIMIT 1)
    UNION ALL
    SELECT (SELECT c.author_id FROM comments c
            WHERE c.workspace_id = workspace AND c.task_id = task AND c.author_id > author.id
            ORDER BY c.author_id LIMIT 1)
    FROM author WHERE author.id IS NOT NULL
  )
  SELECT coalesce(array_agg(id), '{}') FROM author WHERE id IS NOT NULL
$$;
COMMENT ON FUNCTION taskbell.commenters IS 'Who commented on a task, each once.';
