ALTER TABLE alert_preferences ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON alert_preferences TO CURRENT_USER USING (true);

CREATE POLICY own ON alert_preferences TO taskbell_api USING (user_id = taskbell.actor());
CREATE POLICY obeyed ON alert_preferences FOR SELECT TO taskbell_delivery USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON alert_preferences TO taskbell_api;
GRANT SELECT ON alert_preferences TO taskbell_delivery;
