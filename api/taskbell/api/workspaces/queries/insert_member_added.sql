INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
VALUES (:workspace_id, 'member.added', :user_id, :actor, ARRAY[:user_id::uuid], :traceparent,
  json_build_object('id', :user_id::uuid, 'workspace_id', :workspace_id::uuid, 'role', :role::text))
