INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, traceparent, give_up_at)
VALUES (:event_id, 'email', :user_id, :workspace_id, :event_type, :payload, :traceparent, now() + :retry_for::interval)
