INSERT INTO workspaces (id, name, created_by) VALUES (:id, :name, :owner) RETURNING created_at
