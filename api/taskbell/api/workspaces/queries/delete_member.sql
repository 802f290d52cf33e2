-- One statement: a member who leaves may still write the event, since the policy sees the statement's snapshot.
WITH gone AS (
  DELETE FROM memberships WHERE workspace_id = :workspace_id AND user_id = :user_id RETURNING role
)
INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
SELECT :workspace_id, 'member.removed', :user_id, :actor, ARRAY[:user_id::uuid], :traceparent,
  json_build_object('id', :user_id::uuid, 'workspace_id', :workspace_id::uuid, 'role', gone.role)
FROM gone
