ALTER TABLE webhooks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON webhooks TO CURRENT_USER USING (true);

CREATE POLICY administered ON webhooks TO taskbell_api USING (taskbell.administers(workspace_id));
CREATE POLICY delivered_to ON webhooks TO taskbell_delivery USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks TO taskbell_api;
GRANT SELECT, UPDATE (enabled, disabled_reason, updated_at) ON webhooks TO taskbell_delivery;
