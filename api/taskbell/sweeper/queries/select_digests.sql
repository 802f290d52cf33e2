-- The next users who want a digest, by the time of the day at which they want it, and the database's time.
SELECT id, digest_at, time_zone, personal_workspace_id, now() AS now
FROM users
WHERE digest_at IS NOT NULL AND (digest_at, id) > (:after_at::time, :after_id::uuid)
  AND (:shards = 1 OR (hashtext(id::text) & 2147483647) % :shards = :shard)
ORDER BY digest_at, id
LIMIT :at_most
