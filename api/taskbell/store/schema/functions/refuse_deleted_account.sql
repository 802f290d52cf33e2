-- Triggers of tables that a request of a user adds to call it, with the name of the column of the user. The lock waits for
-- a deletion that is under way. SECURITY DEFINER: a deleted account is hidden from the API.
CREATE OR REPLACE FUNCTION taskbell.refuse_deleted_account() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  person uuid := to_jsonb(NEW) ->> TG_ARGV[0];
  ended timestamptz;
BEGIN
  SELECT u.deleted_at INTO ended FROM public.users u WHERE u.id = person FOR SHARE;
  IF ended IS NOT NULL THEN
    RAISE EXCEPTION 'the account % is deleted', person USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION taskbell.refuse_deleted_account IS 'Adds nothing to an account that was deleted meanwhile.';
REVOKE EXECUTE ON FUNCTION taskbell.refuse_deleted_account FROM PUBLIC;
