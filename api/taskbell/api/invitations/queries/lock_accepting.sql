-- One transaction at a time adds to what is counted of a user and of a workspace.
SELECT pg_advisory_xact_lock(hashtextextended('workspaces ' || :actor::uuid, 0)),
       (SELECT pg_advisory_xact_lock(hashtextextended('members ' || i.workspace_id, 0))
        FROM taskbell.invitations_to_actor(:id, NULL, 1) i)
