-- SECURITY DEFINER: nobody sees letters. One that was sent before the account got its password is worth nothing: who
-- changed the password may not have been alone in the mailbox.
CREATE OR REPLACE FUNCTION taskbell.invitation_of_letter(digest bytea) RETURNS uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT i.id
  FROM public.invitation_letters l
  JOIN public.invitations i ON i.id = l.invitation_id
  JOIN public.users u ON lower(u.email) = i.email
  WHERE l.token_hash = digest AND u.id = taskbell.actor() AND i.withdrawn_at IS NULL AND i.expires_at > clock_timestamp()
    AND (u.password_changed_at IS NULL OR u.password_changed_at < l.created_at)
$$;
COMMENT ON FUNCTION taskbell.invitation_of_letter IS
  'The invitation to the actor that a letter with this token was about, while both are worth something; else NULL.';
REVOKE EXECUTE ON FUNCTION taskbell.invitation_of_letter FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.invitation_of_letter TO taskbell_api;
