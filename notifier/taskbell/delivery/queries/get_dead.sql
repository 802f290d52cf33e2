SELECT * FROM deliveries WHERE state = 'dead' AND id = :id
