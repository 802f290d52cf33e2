-- Prolong the lease of term $2 of $1 by $3 seconds from now, and learn of a wanted replay. The commit does not wait for
-- the disk: a renewal lost in a crash only ends the lease earlier.
WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE relay_state
SET lease_expires_at = clock_timestamp() + $3 * interval '1 s'
FROM quick
WHERE lease_holder = $1 AND lease_epoch = $2
RETURNING replay_from IS NOT NULL AS replay_wanted
