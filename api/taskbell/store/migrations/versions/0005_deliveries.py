"""Webhooks, the e-mail channel, and the ledger of what was delivered where; rights of the delivery workers.

The role `taskbell_delivery` belongs to the cluster and is prepared beforehand (`taskbell.store.roles`).
"""

from __future__ import annotations

from alembic import op

from taskbell.store.scripts import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE webhooks (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  url text NOT NULL CONSTRAINT webhooks_url_length CHECK (char_length(url) <= 2048),
  event_types text[] NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  enabled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  disabled_reason text,
  secret text NOT NULL,
  previous_secret text,
  previous_secret_expires_at timestamptz,
  created_by uuid REFERENCES users (id) ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX webhooks_workspace_id_idx ON webhooks (workspace_id, id);

CREATE TABLE email_channels (
  user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  enabled boolean NOT NULL DEFAULT false,
  enabled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  kinds text[] NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE deliveries (
  id uuid NOT NULL DEFAULT taskbell.new_id(),
  event_id uuid NOT NULL,
  channel text NOT NULL CONSTRAINT deliveries_channel CHECK (channel IN ('webhook', 'email')),
  endpoint_id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  event_type text NOT NULL,
  payload text NOT NULL,
  traceparent text,
  state text NOT NULL DEFAULT 'pending'
    CONSTRAINT deliveries_state CHECK (state IN ('pending', 'retrying', 'delivered', 'dead')),
  attempts integer NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  give_up_at timestamptz NOT NULL,
  response_status integer,
  error text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  attempted_at timestamptz,
  delivered_at timestamptz,
  PRIMARY KEY (event_id, channel, endpoint_id)
) PARTITION BY RANGE (event_id);
CREATE INDEX deliveries_due_idx ON deliveries (due_at) WHERE state IN ('pending', 'retrying');
CREATE INDEX deliveries_endpoint_idx ON deliveries (endpoint_id, id);
CREATE INDEX deliveries_dead_idx ON deliveries (id) WHERE state = 'dead';
CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT;
"""

POLICIES = """
CREATE POLICY administered ON webhooks TO taskbell_api USING (taskbell.administers(workspace_id));
CREATE POLICY own ON email_channels TO taskbell_api USING (user_id = taskbell.actor());
CREATE POLICY administered ON deliveries TO taskbell_api
  USING (channel = 'webhook' AND taskbell.administers(workspace_id));

CREATE POLICY delivered_to ON webhooks TO taskbell_delivery USING (true);
CREATE POLICY delivered_to ON email_channels FOR SELECT TO taskbell_delivery USING (true);
CREATE POLICY addressed ON users FOR SELECT TO taskbell_delivery USING (true);
CREATE POLICY carried ON deliveries TO taskbell_delivery USING (true);
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks TO taskbell_api;
GRANT SELECT, INSERT, UPDATE ON email_channels TO taskbell_api;
GRANT SELECT, INSERT ON deliveries TO taskbell_api;
GRANT UPDATE (state, attempts, due_at, give_up_at, error) ON deliveries TO taskbell_api;

GRANT USAGE ON SCHEMA taskbell TO taskbell_delivery;
GRANT SELECT ON webhooks, email_channels, alembic_version TO taskbell_delivery;
GRANT UPDATE (enabled, disabled_reason, updated_at) ON webhooks TO taskbell_delivery;
GRANT SELECT (id, email) ON users TO taskbell_delivery;
GRANT SELECT, INSERT, UPDATE ON deliveries TO taskbell_delivery;
"""

SECURED = ("webhooks", "email_channels", "deliveries")


def upgrade() -> None:
    """Add the tables and who may do what with them."""
    for script in (TABLES, POLICIES, GRANTS):
        run_script(script)
    for table in SECURED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY maintenance ON {table} TO CURRENT_USER USING (true)")


def downgrade() -> None:
    """Remove them."""
    for table in reversed(SECURED):
        op.execute(f"DROP TABLE {table} CASCADE")
    op.execute("DROP POLICY addressed ON users")
    op.execute("REVOKE ALL ON users, alembic_version FROM taskbell_delivery")
    op.execute("REVOKE SELECT (id, email) ON users FROM taskbell_delivery")
    op.execute("REVOKE USAGE ON SCHEMA taskbell FROM taskbell_delivery")
