-- One transaction at a time adds to what is counted of a workspace, of a user and of an address.
SELECT pg_advisory_xact_lock(hashtextextended('members ' || :workspace_id::uuid, 0)),
       pg_advisory_xact_lock(hashtextextended('invitations by ' || :actor::uuid, 0)),
       pg_advisory_xact_lock(hashtextextended('invitations to ' || :email::text, 0))
