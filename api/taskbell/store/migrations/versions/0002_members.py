"""Members: whoever administers a workspace may see, add and remove its memberships; every member may leave."""

from __future__ import annotations

from alembic import op

from taskbell.store.scripts import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A policy of `memberships` that read `memberships` would never end: these functions read it with the owner's eyes,
# and tell the actor nothing about workspaces that the actor does not belong to.
FUNCTIONS = """
CREATE FUNCTION taskbell.role_in(workspace uuid) RETURNS text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT m.role FROM memberships m WHERE m.user_id = taskbell.actor() AND m.workspace_id = workspace
$$;
COMMENT ON FUNCTION taskbell.role_in(uuid) IS 'The actor''s role in a workspace, NULL for a stranger.';

CREATE FUNCTION taskbell.administers(workspace uuid) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(taskbell.role_in(workspace) IN ('owner', 'admin'), false)
$$;
COMMENT ON FUNCTION taskbell.administers(uuid) IS 'Whether the actor may change who belongs to a workspace.';

CREATE FUNCTION taskbell.members_of(workspace uuid, past uuid, at_most integer)
  RETURNS TABLE (user_id uuid, email text, name text, role text, created_at timestamptz)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT m.user_id, u.email, u.name, m.role, m.created_at
  FROM memberships m JOIN users u ON u.id = m.user_id
  WHERE m.workspace_id = workspace AND (past IS NULL OR m.user_id > past) AND taskbell.role_in(workspace) IS NOT NULL
  ORDER BY m.user_id LIMIT at_most
$$;
COMMENT ON FUNCTION taskbell.members_of(uuid, uuid, integer) IS 'A page of the members, for a member; else no row.';

REVOKE EXECUTE ON FUNCTION taskbell.role_in(uuid), taskbell.administers(uuid),
  taskbell.members_of(uuid, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.role_in(uuid), taskbell.administers(uuid),
  taskbell.members_of(uuid, uuid, integer) TO taskbell_api;
"""

# Only an owner makes or removes owners.
MAY_CHANGE = (
    "CASE WHEN role = 'owner' THEN taskbell.role_in(workspace_id) = 'owner' ELSE taskbell.administers(workspace_id) END"
)

# Every policy of every other table reads the actor's own memberships: CASE keeps the function out of that.
POLICIES = f"""
CREATE POLICY seen_by_administrators ON memberships FOR SELECT TO taskbell_api
  USING (CASE WHEN user_id = taskbell.actor() THEN true ELSE taskbell.administers(workspace_id) END);
CREATE POLICY added ON memberships FOR INSERT TO taskbell_api WITH CHECK ({MAY_CHANGE});
CREATE POLICY removed ON memberships FOR DELETE TO taskbell_api USING (user_id = taskbell.actor() OR {MAY_CHANGE});
GRANT DELETE ON memberships TO taskbell_api;
"""


def upgrade() -> None:
    """Open memberships to those who administer them."""
    run_script(FUNCTIONS)
    run_script(POLICIES)


def downgrade() -> None:
    """Close them again."""
    op.execute("REVOKE DELETE ON memberships FROM taskbell_api")
    for policy in ("seen_by_administrators", "added", "removed"):
        op.execute(f"DROP POLICY {policy} ON memberships")
    for function in ("members_of(uuid, uuid, integer)", "administers(uuid)", "role_in(uuid)"):
        op.execute(f"DROP FUNCTION taskbell.{function}")
