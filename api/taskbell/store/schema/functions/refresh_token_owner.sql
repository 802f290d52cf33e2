-- Before anybody is signed in there is no actor: this, account_by_email and personal_token are all that the API may look
-- up then.
CREATE OR REPLACE FUNCTION taskbell.refresh_token_owner(wanted bytea) RETURNS uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.user_id FROM public.refresh_tokens r WHERE r.token_hash = wanted
$$;
REVOKE EXECUTE ON FUNCTION taskbell.refresh_token_owner FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.refresh_token_owner TO taskbell_api;
