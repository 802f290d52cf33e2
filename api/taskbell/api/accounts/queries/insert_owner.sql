INSERT INTO memberships (user_id, workspace_id, role) VALUES (:user_id, :workspace_id, 'owner')
