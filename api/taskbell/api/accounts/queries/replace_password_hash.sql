UPDATE users SET password_hash = :new, updated_at = clock_timestamp() WHERE id = :id AND password_hash = :old
