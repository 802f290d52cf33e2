-- One statement: an owner who steps down may still write the event, since the policy sees the statement's snapshot.
WITH changed AS (
  UPDATE memberships SET role = :role WHERE workspace_id = :workspace_id AND user_id = :user_id AND role = :former
  RETURNING user_id
)
INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
SELECT :workspace_id, 'member.role_changed', changed.user_id, :actor, ARRAY[changed.user_id], :traceparent,
  json_build_object('id', changed.user_id, 'workspace_id', :workspace_id::uuid, 'role', :role::text,
                    'previous', json_build_object('role', :former::text))
FROM changed
