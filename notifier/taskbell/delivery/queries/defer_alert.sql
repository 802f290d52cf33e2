-- The attempt that was not made does not count, and what is left of its time counts from the end of the quiet hours.
UPDATE deliveries SET due_at = :until, give_up_at = give_up_at + (:until - now()), deferred = true, attempts = attempts - 1
WHERE event_id = :event_id AND channel = :channel AND endpoint_id = :endpoint_id AND attempts = :attempts AND state IN ('pending', 'retrying')
