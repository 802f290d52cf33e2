-- SECURITY DEFINER: an administrator writes a user, and a membership that is not by invitation: a bot cannot accept one.
CREATE OR REPLACE FUNCTION taskbell.make_bot(bot uuid, workspace uuid, bot_name text, bot_role text, traceparent text)
  RETURNS TABLE (id uuid, name text, role text, created_at timestamptz)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT taskbell.administers(workspace) OR bot_role NOT IN ('admin', 'member', 'viewer') THEN
    RETURN;
  END IF;
  INSERT INTO public.users (id, email, name, personal_workspace_id, bot_of)
  VALUES (bot, format('bot-%s@bots.invalid', bot), bot_name, workspace, workspace);
  INSERT INTO public.memberships (user_id, workspace_id, role) VALUES (bot, workspace, bot_role);
  INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  VALUES (workspace, 'member.added', bot, taskbell.actor(), ARRAY[bot], make_bot.traceparent,
          json_build_object('id', bot, 'workspace_id', workspace, 'role', bot_role));
  RETURN QUERY SELECT b.id, b.name, b.role, b.created_at FROM taskbell.bots_of(workspace, bot, NULL, 1) b;
END
$$;
COMMENT ON FUNCTION taskbell.make_bot IS
  'Makes a bot of a workspace that the actor administers; else no row.';
REVOKE EXECUTE ON FUNCTION taskbell.make_bot FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.make_bot TO taskbell_api;
