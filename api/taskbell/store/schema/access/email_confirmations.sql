ALTER TABLE email_confirmations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON email_confirmations TO CURRENT_USER USING (true);

CREATE POLICY own ON email_confirmations TO taskbell_api USING (user_id = taskbell.actor());

GRANT SELECT, INSERT, UPDATE (used_at) ON email_confirmations TO taskbell_api;
