UPDATE deliveries SET due_at = now(), attempts = attempts - 1
WHERE event_id = :event_id AND channel = :channel AND endpoint_id = :endpoint_id AND attempts = :attempts AND state IN ('pending', 'retrying')
