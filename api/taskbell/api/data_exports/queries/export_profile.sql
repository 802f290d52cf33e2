SELECT NULL AS key, u.id, json_build_object(
  'id', u.id, 'email', u.email, 'email_confirmed_at', u.email_confirmed_at, 'name', u.name, 'time_zone', u.time_zone,
  'quiet_from', u.quiet_from, 'quiet_until', u.quiet_until, 'digest_at', u.digest_at,
  'personal_workspace_id', u.personal_workspace_id, 'has_password', u.password_hash IS NOT NULL,
  'created_at', u.created_at, 'updated_at', u.updated_at,
  'identities', ARRAY(
    SELECT json_build_object('issuer', i.issuer, 'subject', i.subject, 'created_at', i.created_at)
    FROM identities i WHERE i.user_id = u.id ORDER BY i.issuer),
  'second_factor', (
    SELECT json_build_object('created_at', f.created_at, 'confirmed_at', f.confirmed_at, 'recovery_codes', (
      SELECT count(*) FROM recovery_codes c WHERE c.user_id = u.id AND c.used_at IS NULL))
    FROM second_factors f WHERE f.user_id = u.id),
  'email_channel', (
    SELECT json_build_object('enabled', c.enabled, 'kinds', c.kinds, 'updated_at', c.updated_at)
    FROM email_channels c WHERE c.user_id = u.id),
  'preferences', ARRAY(
    SELECT json_build_object('workspace_id', p.workspace_id, 'kind', p.kind, 'channel', p.channel, 'enabled', p.enabled)
    FROM alert_preferences p WHERE p.user_id = u.id ORDER BY p.workspace_id, p.kind, p.channel)
)::text AS document
FROM users u WHERE u.id = taskbell.actor() LIMIT :at_most
