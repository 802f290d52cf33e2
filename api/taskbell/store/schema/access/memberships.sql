ALTER TABLE memberships ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON memberships TO CURRENT_USER USING (true);

CREATE POLICY own_memberships ON memberships FOR SELECT TO taskbell_api USING (user_id = taskbell.actor());
-- Every policy of every other table reads the actor's own memberships: CASE keeps the function out of that.
CREATE POLICY seen_by_administrators ON memberships FOR SELECT TO taskbell_api
  USING (CASE WHEN user_id = taskbell.actor() THEN true ELSE taskbell.administers(workspace_id) END);
CREATE POLICY founder ON memberships FOR INSERT TO taskbell_api
  WITH CHECK (user_id = taskbell.actor() AND role = 'owner'
              AND workspace_id IN (SELECT w.id FROM workspaces w WHERE w.created_by = taskbell.actor())
              AND NOT taskbell.has_members(workspace_id));
-- Nobody belongs to a workspace without having agreed: one joins by the invitation to one's own address.
CREATE POLICY accepted ON memberships FOR INSERT TO taskbell_api
  WITH CHECK (user_id = taskbell.actor() AND role = taskbell.invited_as(workspace_id));
-- Every member may leave, except from the personal workspace. Only an owner removes owners.
CREATE POLICY removed ON memberships FOR DELETE TO taskbell_api
  USING ((user_id = taskbell.actor()
          OR CASE WHEN role = 'owner' THEN taskbell.role_in(workspace_id) = 'owner'
             ELSE taskbell.administers(workspace_id) END)
         AND NOT taskbell.is_personal(workspace_id, user_id));
-- Only an owner makes owners, and takes the role from them.
CREATE POLICY changed ON memberships FOR UPDATE TO taskbell_api
  USING (CASE WHEN role = 'owner' THEN taskbell.role_in(workspace_id) = 'owner'
         ELSE taskbell.administers(workspace_id) END
         AND NOT taskbell.is_personal(workspace_id, user_id))
  WITH CHECK (CASE WHEN role = 'owner' THEN taskbell.role_in(workspace_id) = 'owner'
              ELSE taskbell.administers(workspace_id) END);
CREATE POLICY read_by_gateway ON memberships FOR SELECT TO taskbell_gateway USING (true);

GRANT SELECT, INSERT, UPDATE (role), DELETE ON memberships TO taskbell_api;
GRANT SELECT ON memberships TO taskbell_gateway;
