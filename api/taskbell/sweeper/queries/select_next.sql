-- Seconds until the next reminder fires, by the database's clock.
SELECT extract(epoch FROM min(fire_at) - clock_timestamp())::float8
FROM reminders
WHERE fire_at > now() AND (:shards = 1 OR (hashtext(task_id::text) & 2147483647) % :shards = :shard)
