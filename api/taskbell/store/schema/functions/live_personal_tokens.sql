-- SECURITY DEFINER: a gateway acts for nobody, and asks for the tokens of all its connections.
CREATE OR REPLACE FUNCTION taskbell.live_personal_tokens(ids uuid[]) RETURNS SETOF uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT t.id FROM public.personal_tokens t JOIN public.users u ON u.id = t.user_id
  WHERE t.id = ANY (ids) AND t.expires_at > now() AND taskbell.is_employed(u.id, u.bot_of)
$$;
COMMENT ON FUNCTION taskbell.live_personal_tokens IS
  'Those of the personal access tokens with which somebody may still sign in.';
REVOKE EXECUTE ON FUNCTION taskbell.live_personal_tokens FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.live_personal_tokens TO taskbell_gateway;
