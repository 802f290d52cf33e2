-- Programs alone use it: it says nothing that a user may read. The API asks taskbell.refused_workspaces.
ALTER TABLE workspace_usage ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON workspace_usage TO CURRENT_USER USING (true);

CREATE POLICY measured ON workspace_usage TO taskbell_relay USING (true);

GRANT SELECT, INSERT, UPDATE ON workspace_usage TO taskbell_relay;
