-- SECURITY DEFINER: the same phone may have been another user's, whose row the actor does not see. The provider gives the
-- token to the app on the phone, so whoever registers it last has the phone. Its id changes with its user: what waits for
-- the former user's endpoint is not for this one. The address of a chat is no device: members of a team may share one, so
-- each user has a row of their own for it.
CREATE OR REPLACE FUNCTION taskbell.register_endpoint(
  endpoint uuid, endpoint_kind text, wanted text, p256dh text, auth text, environment text, label text
) RETURNS SETOF alert_endpoints
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  hash bytea := sha256(convert_to(
    CASE WHEN endpoint_kind IN ('slack', 'teams') THEN taskbell.actor() || ' ' || wanted ELSE wanted END, 'UTF8'));
BEGIN
  IF taskbell.actor() IS NULL THEN
    RETURN;
  END IF;
  DELETE FROM public.alert_endpoints e
  WHERE e.kind = endpoint_kind AND e.address_hash = hash AND e.user_id <> taskbell.actor();
  RETURN QUERY
  INSERT INTO public.alert_endpoints AS e (id, user_id, kind, address, address_hash, p256dh, auth, environment, name)
  VALUES (endpoint, taskbell.actor(), endpoint_kind, wanted, hash, register_endpoint.p256dh, register_endpoint.auth,
          register_endpoint.environment, coalesce(label, ''))
  ON CONFLICT (kind, address_hash) DO UPDATE
  SET p256dh = excluded.p256dh, auth = excluded.auth, environment = excluded.environment, name = coalesce(label, e.name),
      registered_at = clock_timestamp()
  WHERE e.user_id = excluded.user_id
  RETURNING e.*;
END
$$;
COMMENT ON FUNCTION taskbell.register_endpoint IS
  'Registers an address for the actor, renews it, or takes it over from its former user; without a label it keeps its name. No row: another user took it meanwhile.';
REVOKE EXECUTE ON FUNCTION taskbell.register_endpoint FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.register_endpoint TO taskbell_api;
