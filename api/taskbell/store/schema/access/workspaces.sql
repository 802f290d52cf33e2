ALTER TABLE workspaces ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON workspaces TO CURRENT_USER USING (true);

-- The founder sees a workspace before the first membership stands, for the foreign key; not after the last one ended.
CREATE POLICY seen ON workspaces FOR SELECT TO taskbell_api
  USING (id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor())
         OR (created_by = taskbell.actor() AND deleted_at IS NULL AND NOT taskbell.has_members(id)));
CREATE POLICY founded ON workspaces FOR INSERT TO taskbell_api WITH CHECK (created_by = taskbell.actor());
-- Who changes tasks locks the row, to take turns; only who administers the workspace changes it.
CREATE POLICY locked ON workspaces FOR UPDATE TO taskbell_api
  USING (id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer'))
  WITH CHECK (taskbell.administers(id));
CREATE POLICY swept ON workspaces FOR SELECT TO taskbell_sweeper USING (true);

GRANT SELECT, INSERT, UPDATE (name) ON workspaces TO taskbell_api;
-- Whether a workspace is deleted, so that its reminders wait.
GRANT SELECT (id, restorable_until) ON workspaces TO taskbell_sweeper;
