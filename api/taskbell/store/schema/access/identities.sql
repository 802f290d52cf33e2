ALTER TABLE identities ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON identities TO CURRENT_USER USING (true);

CREATE POLICY own_identities ON identities TO taskbell_api USING (user_id = taskbell.actor());

GRANT SELECT, INSERT ON identities TO taskbell_api;
