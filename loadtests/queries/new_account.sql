-- $1 user, $2 workspace. Somebody who never signs in, with a workspace of their own.
WITH workspace AS (
  INSERT INTO workspaces (id, name, created_by) VALUES ($2, 'Growth', $1)
), account AS (
  INSERT INTO users (id, email, name, password_hash, personal_workspace_id)
  VALUES ($1, 'growth@example.org', 'Growth', 'none', $2)
)
INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'owner')
