-- Keys are hashes, and they are written before anybody is signed in.
ALTER TABLE login_attempts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON login_attempts TO CURRENT_USER USING (true);

CREATE POLICY attempts ON login_attempts TO taskbell_api USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON login_attempts TO taskbell_api;
