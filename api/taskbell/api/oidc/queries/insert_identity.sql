INSERT INTO identities (issuer, subject, user_id) VALUES (:issuer, :subject, :user_id) ON CONFLICT DO NOTHING
