UPDATE second_factors SET confirmed_at = clock_timestamp(), last_step = :step WHERE user_id = :user_id
