"""The second wall: what the API's own checks refuse already, row-level security refuses too."""

from __future__ import annotations

from alembic import op

from taskbell.store.scripts import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# The owner's eyes: the founder of a workspace may have been removed from it, and then sees no membership of it.
FUNCTIONS = """
CREATE FUNCTION taskbell.has_members(workspace uuid) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT EXISTS (SELECT FROM memberships m WHERE m.workspace_id = workspace)
$$;
COMMENT ON FUNCTION taskbell.has_members(uuid) IS 'Whether anybody belongs to a workspace; false while it is founded.';

CREATE FUNCTION taskbell.is_personal(workspace uuid, person uuid) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT taskbell.role_in(workspace) IS NOT NULL
    AND EXISTS (SELECT FROM users u WHERE u.id = person AND u.personal_workspace_id = workspace)
$$;
COMMENT ON FUNCTION taskbell.is_personal(uuid, uuid) IS
  'For a member: whether a workspace is the personal one of a person, who therefore stays in it.';

REVOKE EXECUTE ON FUNCTION taskbell.has_members(uuid), taskbell.is_personal(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.has_members(uuid), taskbell.is_personal(uuid, uuid) TO taskbell_api;
"""

# The sweeper acts for nobody. It is told by who signed in, which no statement can change.
AUDIENCE = """
CREATE OR REPLACE FUNCTION taskbell.audience(workspace uuid, concerned uuid[]) RETURNS uuid[]
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(m.user_id ORDER BY m.user_id), '{}')
  FROM memberships m WHERE m.user_id = ANY (concerned) AND m.workspace_id = workspace
    AND (taskbell.role_in(workspace) IS NOT NULL OR pg_has_role(session_user, 'taskbell_sweeper', 'USAGE'))
$$;
"""

AUDIENCE_BEFORE = """
CREATE OR REPLACE FUNCTION taskbell.audience(workspace uuid, concerned uuid[]) RETURNS uuid[]
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(m.user_id ORDER BY m.user_id), '{}')
  FROM memberships m WHERE m.user_id = ANY (concerned) AND m.workspace_id = workspace
$$;
"""

MINE_TO_CHANGE = (
    "workspace_id IN (SELECT m.workspace_id FROM memberships m"
    " WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer')"
)
MEMBER = "id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor())"
FOUNDER = (
    "user_id = taskbell.actor() AND role = 'owner'"
    " AND workspace_id IN (SELECT w.id FROM workspaces w WHERE w.created_by = taskbell.actor())"
)
MAY_REMOVE = (
    "user_id = taskbell.actor() OR CASE WHEN role = 'owner' THEN taskbell.role_in(workspace_id) = 'owner'"
    " ELSE taskbell.administers(workspace_id) END"
)

# Built from constants of this module.
POLICIES = f"""
ALTER POLICY seen ON workspaces
  USING ({MEMBER} OR (created_by = taskbell.actor() AND NOT taskbell.has_members(id)));
ALTER POLICY founder ON memberships WITH CHECK ({FOUNDER} AND NOT taskbell.has_members(workspace_id));
ALTER POLICY removed ON memberships
  USING (({MAY_REMOVE}) AND NOT taskbell.is_personal(workspace_id, user_id));
ALTER POLICY created ON tasks WITH CHECK ({MINE_TO_CHANGE} AND created_by = taskbell.actor());
"""

POLICIES_BEFORE = f"""
ALTER POLICY seen ON workspaces USING (created_by = taskbell.actor() OR {MEMBER});
ALTER POLICY founder ON memberships WITH CHECK ({FOUNDER});
ALTER POLICY removed ON memberships USING ({MAY_REMOVE});
ALTER POLICY created ON tasks WITH CHECK ({MINE_TO_CHANGE});
"""


def upgrade() -> None:
    """Narrow the policies."""
    for script in (FUNCTIONS, AUDIENCE, POLICIES):
        run_script(script)


def downgrade() -> None:
    """Make them as wide as before."""
    for script in (POLICIES_BEFORE, AUDIENCE_BEFORE):
        run_script(script)
    op.execute("DROP FUNCTION taskbell.is_personal(uuid, uuid)")
    op.execute("DROP FUNCTION taskbell.has_members(uuid)")
