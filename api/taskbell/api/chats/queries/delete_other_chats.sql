DELETE FROM alert_endpoints WHERE user_id = :user_id AND kind = :kind AND id <> :keep
