ALTER TABLE sessions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON sessions TO CURRENT_USER USING (true);

CREATE POLICY own_sessions ON sessions TO taskbell_api USING (user_id = taskbell.actor());

GRANT SELECT, INSERT, UPDATE ON sessions TO taskbell_api;
