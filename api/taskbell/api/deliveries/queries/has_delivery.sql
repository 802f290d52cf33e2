SELECT EXISTS (SELECT FROM deliveries WHERE endpoint_id = :webhook_id AND id = :id AND channel = 'webhook')
