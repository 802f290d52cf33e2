-- One transaction at a time adds to the workspaces of a user, so that they can be counted.
SELECT pg_advisory_xact_lock(hashtextextended('workspaces ' || :actor::uuid, 0))
