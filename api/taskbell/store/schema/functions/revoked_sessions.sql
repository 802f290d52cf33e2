-- SECURITY DEFINER: a process must know of all users' sessions which have ended, and sees nothing else of them.
CREATE OR REPLACE FUNCTION taskbell.revoked_sessions(since timestamptz, past uuid, at_most integer)
  RETURNS TABLE (id uuid, revoked_at timestamptz)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.id, s.revoked_at FROM public.sessions s
  WHERE s.revoked_at IS NOT NULL AND (s.revoked_at, s.id) > (since, past)
  ORDER BY s.revoked_at, s.id LIMIT at_most
$$;
REVOKE EXECUTE ON FUNCTION taskbell.revoked_sessions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.revoked_sessions TO taskbell_api, taskbell_gateway;
