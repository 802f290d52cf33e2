-- The commit does not wait for the disk: a renewal lost in a crash only ends the lease earlier.
WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE relay_state
SET lease_expires_at = clock_timestamp() + :ttl * interval '1 s'
FROM quick
WHERE lease_holder = :holder AND lease_epoch = :term
RETURNING replay_from IS NOT NULL AS replay_wanted
