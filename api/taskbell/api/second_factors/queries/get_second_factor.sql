SELECT f.confirmed_at, (SELECT count(*) FROM recovery_codes c WHERE c.user_id = f.user_id AND c.used_at IS NULL) AS codes
FROM second_factors f
WHERE f.user_id = :user_id AND f.confirmed_at IS NOT NULL
