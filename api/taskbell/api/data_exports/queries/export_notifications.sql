SELECT NULL AS key, n.id, taskbell.notification_document(n)::text AS document
FROM notifications n
WHERE n.user_id = taskbell.actor() AND n.id > :past
ORDER BY n.id LIMIT :at_most
