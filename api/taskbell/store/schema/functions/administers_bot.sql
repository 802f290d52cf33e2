-- SECURITY DEFINER: an administrator does not see other users.
CREATE OR REPLACE FUNCTION taskbell.administers_bot(person uuid) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(taskbell.administers(u.bot_of), false) FROM public.users u WHERE u.id = person
$$;
COMMENT ON FUNCTION taskbell.administers_bot IS 'Whether a user is a bot of a workspace that the actor administers.';
REVOKE EXECUTE ON FUNCTION taskbell.administers_bot FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.administers_bot TO taskbell_api;
