-- SECURITY DEFINER: before anybody is signed in there is no actor.
CREATE OR REPLACE FUNCTION taskbell.personal_token(wanted bytea)
  RETURNS TABLE (id uuid, user_id uuid, workspace_id uuid, scopes text[], expires_at timestamptz)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT t.id, t.user_id, u.personal_workspace_id, t.scopes, t.expires_at
  FROM public.personal_tokens t JOIN public.users u ON u.id = t.user_id
  WHERE t.token_hash = wanted AND t.expires_at > now() AND taskbell.is_employed(u.id, u.bot_of)
$$;
COMMENT ON FUNCTION taskbell.personal_token IS
  'The personal access token with this SHA-256, unless it has expired, or is of a bot that was removed.';
REVOKE EXECUTE ON FUNCTION taskbell.personal_token FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.personal_token TO taskbell_api, taskbell_gateway;
