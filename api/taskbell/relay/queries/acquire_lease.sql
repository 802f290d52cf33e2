-- Take the lease for $1 during $2 seconds if nobody holds it; each taking is a new term.
UPDATE relay_state
SET lease_holder = $1, lease_epoch = lease_epoch + 1, lease_expires_at = clock_timestamp() + $2 * interval '1 s'
WHERE lease_holder IS NULL OR lease_holder = $1 OR lease_expires_at < clock_timestamp()
RETURNING lease_epoch
