-- Seconds until the next reminder fires, by the database's clock; nothing if that is more than `ahead` seconds away. The
-- limit keeps a sweep of one lead from reading all reminders of the others each second.
SELECT extract(epoch FROM min(fire_at) - clock_timestamp())::float8
FROM reminders
WHERE kind = :kind AND fire_at > now() AND fire_at <= now() + make_interval(secs => :ahead)
  AND (:shards = 1 OR (hashtext(task_id::text) & 2147483647) % :shards = :shard)
  AND (:leads::interval[] IS NULL OR lead = ANY (:leads))
