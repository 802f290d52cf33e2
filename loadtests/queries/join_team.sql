WITH team AS (SELECT personal_workspace_id AS id FROM users WHERE users.id = $1),
joined AS (
  INSERT INTO memberships (user_id, workspace_id, role)
  SELECT mate, team.id, 'member' FROM team, unnest($2::uuid[]) AS mate
)
SELECT id::text FROM team
