CREATE OR REPLACE FUNCTION taskbell.has_other_people(workspace uuid, person uuid) RETURNS boolean
  LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM public.memberships m JOIN public.users u ON u.id = m.user_id
                 WHERE m.workspace_id = workspace AND m.user_id <> person AND u.bot_of IS NULL)
$$;
COMMENT ON FUNCTION taskbell.has_other_people IS 'Whether somebody else than a person, and than bots, is in a workspace.';
REVOKE EXECUTE ON FUNCTION taskbell.has_other_people FROM PUBLIC;
