-- SECURITY DEFINER: a process writes for all users at once. In the order of the ids, or two processes would block each
-- other.
CREATE OR REPLACE FUNCTION taskbell.note_token_use(ids uuid[], instants timestamptz[]) RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH used AS (SELECT * FROM unnest(ids, instants) AS u (id, at)),
  locked AS (
    SELECT t.id, used.at FROM public.personal_tokens t JOIN used ON used.id = t.id
    WHERE t.last_used_at IS NULL OR t.last_used_at < used.at
    ORDER BY t.id FOR UPDATE OF t
  )
  UPDATE public.personal_tokens t SET last_used_at = locked.at
  FROM locked WHERE t.id = locked.id
$$;
COMMENT ON FUNCTION taskbell.note_token_use IS
  'Notes when personal access tokens were used; an earlier instant changes nothing.';
REVOKE EXECUTE ON FUNCTION taskbell.note_token_use FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.note_token_use TO taskbell_api;
