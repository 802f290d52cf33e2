-- Nobody had proved yet that the address is theirs: whoever registered it keeps no way into what its owner does from now on.
-- Row-level security leaves the tokens of other people who belong to the workspace alone.
WITH tokens AS (
  DELETE FROM personal_tokens t
  WHERE t.user_id IN (SELECT m.user_id FROM memberships m WHERE m.workspace_id = :personal_workspace_id)
), endpoints AS (
  DELETE FROM alert_endpoints e WHERE e.user_id = :user_id
)
DELETE FROM webhooks w WHERE w.workspace_id = :personal_workspace_id
