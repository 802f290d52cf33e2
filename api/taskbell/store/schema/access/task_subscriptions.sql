ALTER TABLE task_subscriptions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON task_subscriptions TO CURRENT_USER USING (true);

CREATE POLICY own ON task_subscriptions TO taskbell_api
  USING (user_id = taskbell.actor())
  WITH CHECK (user_id = taskbell.actor()
              AND workspace_id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor()));

GRANT SELECT, INSERT, UPDATE (state), DELETE ON task_subscriptions TO taskbell_api;
