UPDATE second_factors SET last_step = :step WHERE user_id = :user_id
