-- One transaction at a time adds tokens of a user, so that they can be counted.
SELECT pg_advisory_xact_lock(hashtextextended('personal tokens ' || :user_id::uuid, 0))
