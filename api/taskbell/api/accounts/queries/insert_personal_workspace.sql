INSERT INTO workspaces (id, name, created_by) VALUES (:id, 'Personal', :owner)
