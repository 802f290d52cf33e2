-- One transaction at a time adds members to a workspace, so that they can be counted.
SELECT pg_advisory_xact_lock(hashtextextended('members ' || :workspace_id::uuid, 0))
