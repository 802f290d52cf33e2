DELETE FROM notifications WHERE id = ANY (ARRAY(
  SELECT id FROM notifications WHERE user_id = :id ORDER BY id LIMIT :at_most
))
