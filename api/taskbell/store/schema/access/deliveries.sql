ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON deliveries TO CURRENT_USER USING (true);

CREATE POLICY administered ON deliveries TO taskbell_api
  USING (channel = 'webhook' AND taskbell.administers(workspace_id));
CREATE POLICY confirmed ON deliveries FOR INSERT TO taskbell_api
  WITH CHECK (channel = 'email' AND event_type IN ('email.confirmation', 'email.change', 'email.changed')
    AND endpoint_id = taskbell.actor());
CREATE POLICY carried ON deliveries TO taskbell_delivery USING (true);

GRANT SELECT, INSERT, UPDATE (state, attempts, due_at, give_up_at, error) ON deliveries TO taskbell_api;
GRANT SELECT, INSERT, UPDATE ON deliveries TO taskbell_delivery;
