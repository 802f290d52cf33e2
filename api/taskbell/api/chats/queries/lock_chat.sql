-- One transaction at a time sets a chat of a user, so that only one address stays.
SELECT pg_advisory_xact_lock(hashtextextended('chat ' || :user_id::uuid || ' ' || :kind::text, 0))
