ALTER TABLE kept_answers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON kept_answers TO CURRENT_USER USING (true);

CREATE POLICY own ON kept_answers TO taskbell_api USING (user_id = taskbell.actor());

GRANT SELECT, INSERT, UPDATE (sealed, xid, created_at) ON kept_answers TO taskbell_api;
