ALTER TABLE invitations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON invitations TO CURRENT_USER USING (true);

CREATE POLICY administered ON invitations FOR SELECT TO taskbell_api USING (taskbell.administers(workspace_id));
CREATE POLICY addressed ON invitations FOR SELECT TO taskbell_api
  USING (email = (SELECT lower(u.email) FROM users u WHERE u.id = taskbell.actor()));
-- Only an owner invites owners, and withdraws such an invitation.
CREATE POLICY made ON invitations FOR INSERT TO taskbell_api
  WITH CHECK (invited_by = taskbell.actor()
              AND CASE WHEN role = 'owner' THEN taskbell.role_in(workspace_id) = 'owner'
                  ELSE taskbell.administers(workspace_id) END);
CREATE POLICY withdrawn ON invitations FOR UPDATE TO taskbell_api
  USING (CASE WHEN role = 'owner' THEN taskbell.role_in(workspace_id) = 'owner'
         ELSE taskbell.administers(workspace_id) END);
CREATE POLICY replaced ON invitations FOR DELETE TO taskbell_api
  USING (CASE WHEN role = 'owner' THEN taskbell.role_in(workspace_id) = 'owner'
         ELSE taskbell.administers(workspace_id) END);
CREATE POLICY declined ON invitations FOR UPDATE TO taskbell_api
  USING (email = (SELECT lower(u.email) FROM users u WHERE u.id = taskbell.actor()));
CREATE POLICY accepted ON invitations FOR DELETE TO taskbell_api
  USING (email = (SELECT lower(u.email) FROM users u WHERE u.id = taskbell.actor()));
CREATE POLICY delivered ON invitations FOR SELECT TO taskbell_delivery USING (true);

GRANT SELECT, INSERT, UPDATE (withdrawn_at, declined_at), DELETE ON invitations TO taskbell_api;
-- Whether an invitation by mail is still to be sent, and where.
GRANT SELECT (id, email, expires_at, withdrawn_at) ON invitations TO taskbell_delivery;
