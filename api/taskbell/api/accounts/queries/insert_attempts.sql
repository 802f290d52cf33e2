INSERT INTO login_attempts (key) SELECT k FROM unnest(:keys::bytea[]) k ORDER BY k ON CONFLICT DO NOTHING
