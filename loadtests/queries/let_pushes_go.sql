UPDATE deliveries SET due_at = now() WHERE channel = 'fcm' AND due_at = 'infinity'
