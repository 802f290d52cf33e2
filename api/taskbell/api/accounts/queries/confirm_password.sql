SELECT EXISTS (SELECT FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS has_second_factor
FROM users u WHERE u.id = :id AND u.password_version = :version FOR SHARE OF u
