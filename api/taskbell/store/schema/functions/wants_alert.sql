CREATE OR REPLACE FUNCTION taskbell.wants_alert(
  person uuid, workspace uuid, alert_kind text, wanted_channel text, otherwise boolean
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((
    SELECT p.enabled FROM public.alert_preferences p
    WHERE p.user_id = person AND p.workspace_id IN (workspace, '00000000-0000-0000-0000-000000000000')
      AND p.kind IN (alert_kind, '*') AND p.channel IN (wanted_channel, '*')
    ORDER BY p.workspace_id = workspace DESC, p.kind = alert_kind DESC, p.channel = wanted_channel DESC
    LIMIT 1
  ), otherwise)
$$;
COMMENT ON FUNCTION taskbell.wants_alert IS
  'Whether a user wants alerts of a kind from a workspace by a channel (push, email, slack, teams): the most specific preference decides, the workspace before the kind before the channel; otherwise the given default.';
