ALTER TABLE tasks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON tasks TO CURRENT_USER USING (true);

CREATE POLICY seen ON tasks FOR SELECT TO taskbell_api
  USING (workspace_id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor()));
-- One look-up by key: a task is created alone, and its creator may belong to many workspaces.
CREATE POLICY created ON tasks FOR INSERT TO taskbell_api
  WITH CHECK (created_by = taskbell.actor() AND EXISTS (
    SELECT FROM memberships m
    WHERE m.user_id = taskbell.actor() AND m.workspace_id = tasks.workspace_id AND m.role <> 'viewer'));
CREATE POLICY changed ON tasks FOR UPDATE TO taskbell_api
  USING (workspace_id IN (SELECT m.workspace_id FROM memberships m
                          WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer'));
CREATE POLICY deleted ON tasks FOR DELETE TO taskbell_api
  USING (workspace_id IN (SELECT m.workspace_id FROM memberships m
                          WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer'));
CREATE POLICY swept ON tasks FOR SELECT TO taskbell_sweeper USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON tasks TO taskbell_api;
GRANT SELECT (id, workspace_id, title, status, status_changed_at, priority, due_at, assignee_ids, created_by) ON tasks
  TO taskbell_sweeper;
