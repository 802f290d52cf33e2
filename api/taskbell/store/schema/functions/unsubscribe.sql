-- SECURITY DEFINER: whoever has a token from an e-mail need not be signed in (RFC 8058), so there is no actor.
CREATE OR REPLACE FUNCTION taskbell.unsubscribe(token uuid) RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  UPDATE public.email_channels c SET enabled = false, updated_at = clock_timestamp()
  WHERE c.unsubscribe_token = token AND c.enabled
$$;
COMMENT ON FUNCTION taskbell.unsubscribe IS
  'Switches off the e-mail channel that a token belongs to; it does not tell whether there is one.';
REVOKE EXECUTE ON FUNCTION taskbell.unsubscribe FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.unsubscribe TO taskbell_api;
