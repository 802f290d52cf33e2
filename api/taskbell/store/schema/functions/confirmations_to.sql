-- SECURITY DEFINER: counts messages for other accounts, too, because addresses with different tags are one mailbox.
CREATE OR REPLACE FUNCTION taskbell.confirmations_to(wanted bytea, period interval)
  RETURNS TABLE (sent bigint, oldest timestamptz)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT count(*), min(c.created_at) FROM public.email_confirmations c
  WHERE c.mailbox = wanted AND c.created_at > now() - period
$$;
REVOKE EXECUTE ON FUNCTION taskbell.confirmations_to FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.confirmations_to TO taskbell_api;
