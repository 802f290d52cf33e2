INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
VALUES (:workspace_id, 'member.added', :actor, :actor, ARRAY[:actor::uuid], :traceparent,
  json_build_object('id', :actor::uuid, 'workspace_id', :workspace_id::uuid, 'role', :role::text))
