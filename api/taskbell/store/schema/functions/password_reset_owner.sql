-- SECURITY DEFINER: whoever has a token from a message is not signed in, so there is no actor.
CREATE OR REPLACE FUNCTION taskbell.password_reset_owner(wanted bytea) RETURNS uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.user_id FROM public.password_resets r
  WHERE r.token_hash = wanted AND r.used_at IS NULL AND r.expires_at > clock_timestamp()
$$;
REVOKE EXECUTE ON FUNCTION taskbell.password_reset_owner FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.password_reset_owner TO taskbell_api;
