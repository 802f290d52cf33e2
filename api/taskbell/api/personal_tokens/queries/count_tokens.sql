SELECT count(*) FROM personal_tokens WHERE user_id = :user_id
