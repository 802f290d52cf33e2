-- How long the oldest reminder that is due has waited, by the database's clock; 0 if none is due.
SELECT coalesce(extract(epoch FROM now() - min(fire_at)), 0)::float8
FROM reminders
WHERE kind = :kind AND fire_at <= now() AND (:shards = 1 OR (hashtext(task_id::text) & 2147483647) % :shards = :shard)
  AND (:leads::interval[] IS NULL OR lead = ANY (:leads))
