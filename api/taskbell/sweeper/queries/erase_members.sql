-- Members of a deleted workspace, with what they were told of it, which is hidden only while their membership is suspended.
WITH gone AS (
  DELETE FROM suspended_memberships s
  WHERE s.workspace_id = :id AND s.user_id = ANY (ARRAY(
    SELECT m.user_id FROM suspended_memberships m WHERE m.workspace_id = :id LIMIT :at_most
  ))
  RETURNING s.user_id
), told AS (
  DELETE FROM notifications n USING gone g WHERE n.user_id = g.user_id AND n.workspace_id = :id
)
SELECT FROM gone
