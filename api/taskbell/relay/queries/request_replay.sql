-- Ask the active relay for a new epoch.
UPDATE relay_state SET replay_from = :since RETURNING epoch
