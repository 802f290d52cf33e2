DELETE FROM deliveries d USING (
  SELECT event_id, channel, endpoint_id FROM deliveries WHERE endpoint_id = :id LIMIT :at_most
) sent
WHERE d.event_id = sent.event_id AND d.channel = sent.channel AND d.endpoint_id = sent.endpoint_id
