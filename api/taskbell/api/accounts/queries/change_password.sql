UPDATE users SET password_hash = :new, password_version = password_version + 1,
  password_changed_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE id = :id AND password_hash = :old
