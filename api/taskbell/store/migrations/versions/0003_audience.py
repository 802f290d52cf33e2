"""The audience of an event: of the people it concerns, those who are still members of its workspace."""

from __future__ import annotations

from alembic import op

from taskbell.store.scripts import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# The owner's eyes: a member may write an event that concerns another, whose membership they may not see.
FUNCTIONS = """
CREATE FUNCTION taskbell.audience(workspace uuid, concerned uuid[]) RETURNS uuid[]
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT coalesce(array_agg(m.user_id ORDER BY m.user_id), '{}')
  FROM memberships m WHERE m.user_id = ANY (concerned) AND m.workspace_id = workspace
$$;
COMMENT ON FUNCTION taskbell.audience(uuid, uuid[]) IS 'Of these users, the members of a workspace.';
REVOKE EXECUTE ON FUNCTION taskbell.audience(uuid, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.audience(uuid, uuid[]) TO taskbell_api;
"""


def upgrade() -> None:
    """Add the function."""
    run_script(FUNCTIONS)


def downgrade() -> None:
    """Remove the function."""
    op.execute("DROP FUNCTION taskbell.audience(uuid, uuid[])")
