-- Reminders that are due and have not fired, and the age of the oldest by the database's clock.
SELECT count(*) AS reminders, coalesce(extract(epoch FROM now() - min(fire_at)), 0)::float8 AS oldest
FROM (SELECT fire_at FROM reminders WHERE fire_at <= now() ORDER BY fire_at LIMIT :at_most) late
