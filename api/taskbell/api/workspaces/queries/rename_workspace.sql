-- The row is locked first, so that events of two renames follow each other as the names did.
WITH former AS (
  SELECT w.id, w.name FROM workspaces w WHERE w.id = :workspace_id FOR NO KEY UPDATE
), renamed AS (
  UPDATE workspaces w SET name = :name FROM former WHERE w.id = former.id AND former.name <> :name
  RETURNING w.id, w.name, former.name AS former_name
)
INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
SELECT r.id, 'workspace.renamed', r.id, :actor, ARRAY[:actor::uuid], :traceparent,
  json_build_object('id', r.id, 'name', r.name, 'previous', json_build_object('name', r.former_name))
FROM renamed r
