SELECT id, event_id, channel, endpoint_id, event_type, attempts, response_status, error, created_at, attempted_at
FROM deliveries WHERE state = 'dead' AND (:past::uuid IS NULL OR id > :past) ORDER BY id LIMIT :at_most
