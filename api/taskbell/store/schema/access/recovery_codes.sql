ALTER TABLE recovery_codes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON recovery_codes TO CURRENT_USER USING (true);

CREATE POLICY own ON recovery_codes TO taskbell_api USING (user_id = taskbell.actor());

GRANT SELECT, INSERT, UPDATE (used_at) ON recovery_codes TO taskbell_api;
