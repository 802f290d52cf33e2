SELECT d.*, v.subject_id, v.actor_id, v.traceparent AS event_traceparent, v.created_at AS event_time, v.data::text AS data
FROM deliveries d
LEFT JOIN events v ON d.payload IS NULL AND v.id = d.event_id AND v.workspace_id = d.workspace_id
WHERE d.state = 'dead' AND d.id = :id
