INSERT INTO recovery_codes (user_id, code_hash) SELECT :user_id, h FROM unnest(:hashes::bytea[]) AS h
