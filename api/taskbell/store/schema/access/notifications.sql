ALTER TABLE notifications ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON notifications TO CURRENT_USER USING (true);

-- Those of a deleted workspace are hidden from its members until it is restored.
CREATE POLICY own ON notifications FOR SELECT TO taskbell_api
  USING (user_id = taskbell.actor() AND NOT EXISTS (
    SELECT FROM suspended_memberships s
    WHERE s.user_id = taskbell.actor() AND s.workspace_id = notifications.workspace_id));
CREATE POLICY read ON notifications FOR UPDATE TO taskbell_api USING (user_id = taskbell.actor());
CREATE POLICY told ON notifications FOR INSERT TO taskbell_api
  WITH CHECK (workspace_id IN (SELECT m.workspace_id FROM memberships m
                               WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer')
              AND actor_id = taskbell.actor());
CREATE POLICY reminded ON notifications FOR INSERT TO taskbell_sweeper
  WITH CHECK (kind IN ('due_soon', 'overdue', 'stale', 'digest'));
CREATE POLICY delivered ON notifications FOR SELECT TO taskbell_delivery USING (true);

GRANT SELECT, INSERT, UPDATE (read_at) ON notifications TO taskbell_api;
GRANT INSERT ON notifications TO taskbell_sweeper;
-- Whether an alert is still wanted, not what it says.
GRANT SELECT (id, read_at) ON notifications TO taskbell_delivery;
