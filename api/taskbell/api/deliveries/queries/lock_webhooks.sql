-- One transaction at a time adds webhooks to a workspace, so that they can be counted, or switches them on, so that one
-- who loses the right meanwhile leaves none behind.
SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || :workspace_id::uuid, 0))
WHERE taskbell.administers(:workspace_id)
