-- Take the lease if nobody holds it. Each taking is a new term.
UPDATE relay_state
SET lease_holder = :holder, lease_epoch = lease_epoch + 1, lease_expires_at = clock_timestamp() + :ttl * interval '1 s'
WHERE lease_holder IS NULL OR lease_holder = :holder OR lease_expires_at < clock_timestamp()
RETURNING lease_epoch
