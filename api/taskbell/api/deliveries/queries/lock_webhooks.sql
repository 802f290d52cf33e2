-- One transaction at a time adds webhooks to a workspace, so that they can be counted.
SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || :workspace_id::uuid, 0))
