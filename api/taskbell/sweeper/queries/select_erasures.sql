SELECT id, kind FROM erasures ORDER BY created_at, id LIMIT :at_most
