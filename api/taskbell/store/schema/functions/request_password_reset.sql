-- SECURITY DEFINER: nobody is signed in. An address without an account, or with enough messages, gets the same rows as any
-- other, so that neither the answer nor its time tells them apart: the token is nobody's, and the delivery is withdrawn.
CREATE OR REPLACE FUNCTION taskbell.request_password_reset(
  wanted text, box bytea, secret text, digest bytea, lifetime interval, retry_for interval, most integer, event uuid,
  trace text
) RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  -- One transaction at a time sends to a mailbox, so that messages can be counted.
  SELECT pg_advisory_xact_lock(hashtextextended('mailbox ' || encode(box, 'hex'), 0));
  WITH sent AS (
    SELECT count(*) AS number FROM public.password_resets r
    WHERE r.mailbox = box AND r.created_at > now() - lifetime AND r.user_id IS NOT NULL
  ), account AS (
    SELECT u.id, u.email, u.password_version, u.personal_workspace_id
    FROM sent LEFT JOIN public.users u
      ON lower(u.email) = lower(wanted) AND u.password_hash IS NOT NULL AND sent.number < most
  ), asked AS (
    INSERT INTO public.password_resets (user_id, email, password_version, mailbox, token_hash, expires_at)
    SELECT a.id, a.email, a.password_version, box, digest, clock_timestamp() + lifetime FROM account a
    RETURNING expires_at
  )
  INSERT INTO public.deliveries
    (event_id, channel, endpoint_id, workspace_id, event_type, payload, traceparent, state, give_up_at)
  SELECT event, 'email', coalesce(a.id, event), coalesce(a.personal_workspace_id, event), 'email.password_reset',
    json_build_object('type', 'email.password_reset', 'data', json_build_object(
      'token', secret, 'expires_at', to_char(asked.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"+00:00"')))::text,
    trace, CASE WHEN a.id IS NULL THEN 'withdrawn' ELSE 'pending' END, now() + retry_for
  FROM asked, account a
$$;
COMMENT ON FUNCTION taskbell.request_password_reset IS
  'Has a message with a token sent, if the address has an account with a password; it does not tell whether it has.';
REVOKE EXECUTE ON FUNCTION taskbell.request_password_reset FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.request_password_reset TO taskbell_api;
