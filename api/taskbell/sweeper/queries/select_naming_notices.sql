-- Notices in the inboxes of others that name who invited them, or who left. It reads every inbox, and writes nothing: the
-- relay would wait for the end of a transaction that writes.
SELECT id FROM notifications WHERE actor_id = ANY (:people::uuid[]) AND kind IN ('invited', 'webhooks_paused')
