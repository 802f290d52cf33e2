DELETE FROM personal_tokens WHERE user_id = :user_id AND expires_at < now() - interval '30 days'
