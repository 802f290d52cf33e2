ALTER TABLE reminders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON reminders TO CURRENT_USER USING (true);

CREATE POLICY seen ON reminders FOR SELECT TO taskbell_api
  USING (workspace_id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor()));
CREATE POLICY planned ON reminders FOR INSERT TO taskbell_api
  WITH CHECK (workspace_id IN (SELECT m.workspace_id FROM memberships m
                               WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer'));
CREATE POLICY unplanned ON reminders FOR DELETE TO taskbell_api
  USING (workspace_id IN (SELECT m.workspace_id FROM memberships m
                          WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer'));
CREATE POLICY swept ON reminders TO taskbell_sweeper USING (true);
CREATE POLICY watched ON reminders FOR SELECT TO taskbell_relay USING (true);

GRANT SELECT, INSERT, DELETE ON reminders TO taskbell_api;
-- SELECT ... FOR UPDATE asks for the right to update a column.
GRANT SELECT, UPDATE (fire_at), DELETE ON reminders TO taskbell_sweeper;
-- When each is to fire, not whose it is.
GRANT SELECT (fire_at) ON reminders TO taskbell_relay;
