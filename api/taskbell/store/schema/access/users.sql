ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON users TO CURRENT_USER USING (true);

-- A deleted account is nobody's any more: what a token does that is still believed for a second, it does to nothing.
CREATE POLICY own_account ON users TO taskbell_api USING (id = taskbell.actor() AND deleted_at IS NULL);
CREATE POLICY addressed ON users FOR SELECT TO taskbell_delivery USING (true);
CREATE POLICY digested ON users FOR SELECT TO taskbell_sweeper USING (digest_at IS NOT NULL);

GRANT SELECT, INSERT, UPDATE ON users TO taskbell_api;
GRANT SELECT (id, email, email_confirmed_at, time_zone, quiet_from, quiet_until) ON users TO taskbell_delivery;
GRANT SELECT (id, digest_at, time_zone, personal_workspace_id) ON users TO taskbell_sweeper;
