ALTER TABLE report_cells ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON report_cells TO CURRENT_USER USING (true);

CREATE POLICY seen ON report_cells FOR SELECT TO taskbell_api
  USING (workspace_id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor()));

GRANT SELECT ON report_cells TO taskbell_api;
