-- What was delivered stays so, whoever took the row meanwhile; a failure counts only for its own attempt.
-- `registered`: when a device was registered that its provider calls gone, NULL for all others. It is removed, unless it
-- was registered again since the claim: then the alert is tried again. A millisecond is the error of the number.
-- A message with a token is sent once: what has ended keeps none.
WITH told AS (
  SELECT r.* FROM unnest(:events::uuid[], :channels::text[], :endpoints::uuid[], :attempts::int[], :states::text[],
    :pauses::interval[], :statuses::int[], :errors::text[], :registered::float8[])
    AS r (event_id, channel, endpoint_id, attempts, state, pause, status, error, registered)
), removed AS (
  DELETE FROM alert_endpoints a
  WHERE a.id = ANY (SELECT t.endpoint_id FROM told t WHERE t.registered IS NOT NULL)
    AND a.registered_at <= (
      SELECT to_timestamp(max(t.registered)) + interval '1 millisecond' FROM told t
      WHERE t.endpoint_id = a.id AND t.registered IS NOT NULL
    )
  RETURNING a.id, a.kind
), judged AS (
  SELECT t.*, t.registered IS NOT NULL AND m.id IS NULL AND a.id IS NOT NULL AS is_renewed
  FROM told t
  LEFT JOIN removed m ON m.id = t.endpoint_id
  LEFT JOIN alert_endpoints a ON t.registered IS NOT NULL AND a.id = t.endpoint_id
), recorded AS (
  UPDATE deliveries d SET state = CASE WHEN j.is_renewed THEN 'retrying' ELSE j.state END, due_at = now() + j.pause,
    response_status = coalesce(j.status, d.response_status), error = j.error,
    delivered_at = CASE WHEN j.state = 'delivered' THEN now() ELSE d.delivered_at END,
    payload = CASE WHEN j.state IN ('delivered', 'dead') AND d.event_type LIKE 'email.%' THEN '{}' ELSE d.payload END
  FROM judged j
  WHERE d.event_id = j.event_id AND d.channel = j.channel AND d.endpoint_id = j.endpoint_id
    AND d.state IN ('pending', 'retrying') AND (d.attempts = j.attempts OR j.state = 'delivered')
)
SELECT id, kind FROM removed
