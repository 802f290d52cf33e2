-- One transaction at a time adds devices of a user, so that they can be counted.
SELECT pg_advisory_xact_lock(hashtextextended('devices ' || :user_id::uuid, 0))
