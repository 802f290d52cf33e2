ALTER TABLE events ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON events TO CURRENT_USER USING (true);

CREATE POLICY seen ON events FOR SELECT TO taskbell_api
  USING (workspace_id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor()));
CREATE POLICY written ON events FOR INSERT TO taskbell_api
  WITH CHECK (workspace_id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor()));
CREATE POLICY carried ON events FOR SELECT TO taskbell_relay USING (true);
CREATE POLICY reminded ON events FOR INSERT TO taskbell_sweeper WITH CHECK (type = 'notification.created');

GRANT SELECT, INSERT ON events TO taskbell_api;
GRANT SELECT ON events TO taskbell_relay;
GRANT INSERT ON events TO taskbell_sweeper;
