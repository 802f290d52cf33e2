-- One transaction at a time replaces the preferences of a user: the last one wins as a whole.
SELECT pg_advisory_xact_lock(hashtextextended('preferences ' || :user_id::uuid, 0))
