-- The answer that is kept under a name. Requests with one name take turns: each holds the lock until its transaction ends.
-- The answer is read by a statement of its own, so after the wait, and shows what the one before has kept.
-- `patience` is in milliseconds; it does not hold for the locks of the request itself.
CREATE OR REPLACE FUNCTION taskbell.take_kept_answer(
  actor uuid, wanted bytea, lock bigint, patience integer, OUT sealed bytea, OUT reached text
) LANGUAGE plpgsql AS $$
DECLARE
  former text := current_setting('lock_timeout');
BEGIN
  PERFORM set_config('taskbell.actor', actor::text, true), set_config('lock_timeout', patience::text, true);
  PERFORM pg_advisory_xact_lock(lock);
  PERFORM set_config('lock_timeout', former, true);
  SELECT k.sealed, k.xid::text INTO sealed, reached FROM public.kept_answers k
  WHERE k.user_id = actor AND k.name = wanted AND k.created_at > clock_timestamp() - interval '24 hours';
END
$$;
COMMENT ON FUNCTION taskbell.take_kept_answer IS
  'Holds a name until the end of the transaction, and returns the answer that is kept under it, if there is one.';
REVOKE EXECUTE ON FUNCTION taskbell.take_kept_answer FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.take_kept_answer TO taskbell_api;
