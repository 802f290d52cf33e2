ALTER TABLE comments ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON comments TO CURRENT_USER USING (true);

CREATE POLICY seen ON comments FOR SELECT TO taskbell_api
  USING (workspace_id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor()));
CREATE POLICY written ON comments FOR INSERT TO taskbell_api
  WITH CHECK (author_id = taskbell.actor()
              AND workspace_id IN (SELECT m.workspace_id FROM memberships m
                                   WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer'));
CREATE POLICY removed ON comments FOR DELETE TO taskbell_api
  USING (workspace_id IN (SELECT m.workspace_id FROM memberships m
                          WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer'
                            AND (author_id = taskbell.actor() OR m.role IN ('owner', 'admin'))));

GRANT SELECT, INSERT, DELETE ON comments TO taskbell_api;
