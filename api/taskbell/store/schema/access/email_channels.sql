ALTER TABLE email_channels ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON email_channels TO CURRENT_USER USING (true);

CREATE POLICY own ON email_channels TO taskbell_api USING (user_id = taskbell.actor());
CREATE POLICY delivered_to ON email_channels FOR SELECT TO taskbell_delivery USING (true);

GRANT SELECT, INSERT, UPDATE ON email_channels TO taskbell_api;
GRANT SELECT ON email_channels TO taskbell_delivery;
