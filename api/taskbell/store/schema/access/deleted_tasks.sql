ALTER TABLE deleted_tasks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON deleted_tasks TO CURRENT_USER USING (true);

CREATE POLICY seen ON deleted_tasks FOR SELECT TO taskbell_api
  USING (workspace_id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor()));
CREATE POLICY recorded ON deleted_tasks FOR INSERT TO taskbell_api
  WITH CHECK (workspace_id IN (SELECT m.workspace_id FROM memberships m
                               WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer'));

GRANT SELECT, INSERT ON deleted_tasks TO taskbell_api;
