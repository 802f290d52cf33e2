-- Seconds until the next reminder fires, by the database's clock. $1 shard, $2 shards
SELECT extract(epoch FROM min(fire_at) - clock_timestamp())::float8
FROM reminders
WHERE fire_at > now() AND ($2 = 1 OR (hashtext(task_id::text) & 2147483647) % $2 = $1)
