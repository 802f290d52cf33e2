UPDATE users
SET name = coalesce(:name, name), time_zone = coalesce(:time_zone, time_zone), updated_at = clock_timestamp()
WHERE id = :id
RETURNING id, email, name, time_zone, personal_workspace_id, email_confirmed_at, created_at
