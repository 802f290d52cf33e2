ALTER TABLE second_factors ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON second_factors TO CURRENT_USER USING (true);

CREATE POLICY own ON second_factors TO taskbell_api USING (user_id = taskbell.actor());

GRANT SELECT, INSERT, UPDATE, DELETE ON second_factors TO taskbell_api;
