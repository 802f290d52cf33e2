SELECT nullif(p.workspace_id, '00000000-0000-0000-0000-000000000000') AS workspace_id, p.kind, p.channel, p.enabled
FROM alert_preferences p
WHERE p.user_id = :user_id AND (p.workspace_id = '00000000-0000-0000-0000-000000000000'
  OR p.workspace_id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = :user_id))
ORDER BY p.workspace_id, p.kind, p.channel
