ALTER TABLE alert_endpoints ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON alert_endpoints TO CURRENT_USER USING (true);

CREATE POLICY own ON alert_endpoints TO taskbell_api USING (user_id = taskbell.actor());
CREATE POLICY delivered_to ON alert_endpoints TO taskbell_delivery USING (true);

-- Rows are made by taskbell.register_endpoint alone.
GRANT SELECT, UPDATE (name), DELETE ON alert_endpoints TO taskbell_api;
GRANT SELECT, DELETE ON alert_endpoints TO taskbell_delivery;
