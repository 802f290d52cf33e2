-- Before anybody is signed in there is no actor: a provider's word for a user is looked up by its key alone.
CREATE OR REPLACE FUNCTION taskbell.account_by_identity(named_by text, named text)
  RETURNS TABLE (id uuid, personal_workspace_id uuid, password_version integer)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT u.id, u.personal_workspace_id, u.password_version
  FROM public.identities i JOIN public.users u ON u.id = i.user_id
  WHERE i.issuer = named_by AND i.subject = named
$$;
REVOKE EXECUTE ON FUNCTION taskbell.account_by_identity FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.account_by_identity TO taskbell_api;
