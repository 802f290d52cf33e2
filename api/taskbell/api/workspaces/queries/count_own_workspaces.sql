-- Deleted ones that the actor may restore count, too: else they could be made without end.
SELECT (SELECT count(*) FROM memberships WHERE user_id = :actor)
  + (SELECT count(*) FROM suspended_memberships WHERE user_id = :actor AND role = 'owner')
