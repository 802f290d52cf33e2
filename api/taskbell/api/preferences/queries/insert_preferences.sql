INSERT INTO alert_preferences (user_id, workspace_id, kind, channel, enabled)
SELECT :user_id, coalesce(p.workspace_id, '00000000-0000-0000-0000-000000000000'), p.kind, p.channel, p.enabled
FROM unnest(:workspaces::uuid[], :kinds::text[], :channels::text[], :enabled::boolean[])
  AS p (workspace_id, kind, channel, enabled)
