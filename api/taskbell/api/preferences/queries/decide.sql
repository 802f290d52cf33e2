-- As choose_endpoints.sql of the delivery workers decides.
SELECT k.kind, c.channel, taskbell.wants_alert(:user_id::uuid, coalesce(:workspace_id::uuid, '00000000-0000-0000-0000-000000000000'),
  k.kind, c.channel, c.channel <> 'email' OR coalesce(k.kind = ANY (e.kinds) OR '*' = ANY (e.kinds), true)) AS enabled
FROM unnest(:kinds::text[]) WITH ORDINALITY AS k (kind, number)
CROSS JOIN unnest(:channels::text[]) WITH ORDINALITY AS c (channel, number)
LEFT JOIN email_channels e ON e.user_id = :user_id
ORDER BY k.number, c.number
