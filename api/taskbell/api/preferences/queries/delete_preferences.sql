DELETE FROM alert_preferences WHERE user_id = :user_id
