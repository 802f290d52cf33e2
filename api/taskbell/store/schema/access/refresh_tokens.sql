ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON refresh_tokens TO CURRENT_USER USING (true);

CREATE POLICY own_refresh_tokens ON refresh_tokens TO taskbell_api USING (user_id = taskbell.actor());

GRANT SELECT, INSERT, UPDATE ON refresh_tokens TO taskbell_api;
