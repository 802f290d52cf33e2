-- What was delivered stays so, whoever took the row meanwhile; a failure counts only for its own attempt.
UPDATE deliveries SET state = :state, due_at = now() + :pause::interval,
  response_status = coalesce(:status, response_status), error = :error,
  delivered_at = CASE WHEN :state = 'delivered' THEN now() ELSE delivered_at END
WHERE event_id = :event_id AND channel = :channel AND endpoint_id = :endpoint_id AND state IN ('pending', 'retrying')
  AND (attempts = :attempts OR :state = 'delivered')
