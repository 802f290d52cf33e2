-- Give the lease of term $2 of $1 back.
UPDATE relay_state SET lease_holder = NULL, lease_expires_at = NULL WHERE lease_holder = $1 AND lease_epoch = $2
