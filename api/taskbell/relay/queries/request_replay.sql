-- Ask the active relay for a new epoch from instant $1.
UPDATE relay_state SET replay_from = $1 RETURNING epoch
