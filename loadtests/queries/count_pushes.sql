SELECT count(*) FROM deliveries WHERE channel = 'fcm' AND state = 'delivered'
