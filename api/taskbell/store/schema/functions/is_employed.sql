CREATE OR REPLACE FUNCTION taskbell.is_employed(person uuid, bot_of uuid) RETURNS boolean
  LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN bot_of IS NULL THEN true ELSE EXISTS (
    SELECT FROM public.memberships m WHERE m.user_id = person AND m.workspace_id = bot_of) END
$$;
COMMENT ON FUNCTION taskbell.is_employed IS 'Whether a user is a person, or a bot that still belongs to its workspace.';
REVOKE EXECUTE ON FUNCTION taskbell.is_employed FROM PUBLIC;
