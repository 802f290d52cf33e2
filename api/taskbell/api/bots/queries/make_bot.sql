SELECT id, name, role, created_at FROM taskbell.make_bot(:id, :workspace_id, :name, :role, :traceparent)
