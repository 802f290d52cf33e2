ALTER TABLE personal_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON personal_tokens TO CURRENT_USER USING (true);

CREATE POLICY own_tokens ON personal_tokens TO taskbell_api
  USING (CASE WHEN user_id = taskbell.actor() THEN true ELSE taskbell.administers_bot(user_id) END);

-- Only functions read the hash, and write when a token was used.
GRANT SELECT (id, user_id, name, scopes, created_at, expires_at, last_used_at), INSERT, DELETE
  ON personal_tokens TO taskbell_api;
