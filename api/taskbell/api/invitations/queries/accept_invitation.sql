-- One statement: the policy of memberships sees the invitation in the statement's snapshot, though it is used up here.
WITH used AS (
  DELETE FROM invitations
  WHERE id = :id AND withdrawn_at IS NULL AND expires_at > now()
    AND email = (SELECT lower(u.email) FROM users u WHERE u.id = :actor)
  RETURNING workspace_id, role
), joined AS (
  INSERT INTO memberships (user_id, workspace_id, role) SELECT :actor, workspace_id, role FROM used
  ON CONFLICT DO NOTHING
  RETURNING workspace_id
)
SELECT workspace_id, role, EXISTS (SELECT FROM joined) AS joined FROM used
