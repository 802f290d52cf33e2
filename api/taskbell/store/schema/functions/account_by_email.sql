-- Before anybody is signed in there is no actor: this, refresh_token_owner and personal_token are all that the API may
-- look up then.
CREATE OR REPLACE FUNCTION taskbell.account_by_email(wanted text)
  RETURNS TABLE (id uuid, password_hash text, personal_workspace_id uuid, password_version integer)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT u.id, u.password_hash, u.personal_workspace_id, u.password_version
  FROM public.users u WHERE lower(u.email) = lower(wanted)
$$;
REVOKE EXECUTE ON FUNCTION taskbell.account_by_email FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.account_by_email TO taskbell_api;
