DELETE FROM personal_tokens WHERE id = :id AND user_id = :user_id
