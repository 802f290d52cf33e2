ALTER TABLE suspended_memberships ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON suspended_memberships TO CURRENT_USER USING (true);

CREATE POLICY own ON suspended_memberships FOR SELECT TO taskbell_api USING (user_id = taskbell.actor());

GRANT SELECT ON suspended_memberships TO taskbell_api;
