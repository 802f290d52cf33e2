DELETE FROM personal_tokens WHERE user_id = :bot_id
