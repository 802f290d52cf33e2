ALTER TABLE provider_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON provider_tokens TO CURRENT_USER USING (true);

CREATE POLICY shown ON provider_tokens TO taskbell_delivery USING (true);

GRANT SELECT, INSERT, UPDATE ON provider_tokens TO taskbell_delivery;
