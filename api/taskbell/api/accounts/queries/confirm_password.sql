SELECT id FROM users WHERE id = :id AND password_version = :version FOR SHARE
