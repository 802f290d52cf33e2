UPDATE relay_state SET lease_holder = NULL, lease_expires_at = NULL WHERE lease_holder = :holder AND lease_epoch = :term
