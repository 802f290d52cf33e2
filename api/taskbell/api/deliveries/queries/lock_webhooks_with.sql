-- As lock_webhooks.sql does, for the workspace of a webhook.
SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || w.workspace_id, 0)) FROM webhooks w WHERE w.id = :id
