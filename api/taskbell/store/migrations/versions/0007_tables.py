"""All tables, as the first release has them. The number continues the chain of migrations that this one replaced."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE SCHEMA taskbell;

-- Defaults of columns refer to it. `schema/functions/new_id.sql` gives it its present form.
CREATE FUNCTION taskbell.new_id() RETURNS uuid LANGUAGE sql RETURN gen_random_uuid();

CREATE SEQUENCE task_position AS bigint INCREMENT BY 1000 START WITH 1000;
COMMENT ON SEQUENCE task_position IS 'A new task goes past every other one without a lock; gaps are at least 1,000.';

CREATE TABLE users (
  id uuid PRIMARY KEY,
  email text NOT NULL CONSTRAINT users_email_length CHECK (char_length(email) <= 320),
  name text NOT NULL CONSTRAINT users_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
  password_hash text,
  time_zone text NOT NULL DEFAULT 'UTC',
  personal_workspace_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX users_email_key ON users (lower(email));

CREATE TABLE workspaces (
  id uuid PRIMARY KEY,
  name text NOT NULL CONSTRAINT workspaces_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
  created_by uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE memberships (
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  role text NOT NULL CONSTRAINT memberships_role CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (user_id, workspace_id)
);
CREATE INDEX memberships_workspace_id_idx ON memberships (workspace_id);

CREATE TABLE sessions (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  revoked_reason text
);
CREATE INDEX sessions_user_id_idx ON sessions (user_id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);

CREATE TABLE refresh_tokens (
  token_hash bytea PRIMARY KEY CONSTRAINT refresh_tokens_hash_length CHECK (octet_length(token_hash) = 32),
  session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  used_at timestamptz
);
CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens (session_id);

CREATE TABLE login_attempts (
  key bytea PRIMARY KEY,
  failures integer NOT NULL DEFAULT 0,
  window_started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  blocked_until timestamptz
);

CREATE TABLE tasks (
  id uuid NOT NULL DEFAULT taskbell.new_id(),
  workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  title text NOT NULL CONSTRAINT tasks_title_length CHECK (char_length(title) BETWEEN 1 AND 255),
  description text CONSTRAINT tasks_description_length CHECK (char_length(description) <= 20000),
  status text NOT NULL DEFAULT 'pending'
    CONSTRAINT tasks_status CHECK (status IN ('pending', 'in_progress', 'completed', 'cancelled')),
  priority smallint NOT NULL DEFAULT 5 CONSTRAINT tasks_priority CHECK (priority BETWEEN 1 AND 10),
  position bigint NOT NULL DEFAULT nextval('task_position'),
  start_at timestamptz,
  due_at timestamptz,
  assignee_ids uuid[] NOT NULL DEFAULT '{}'
    CONSTRAINT tasks_assignees_count CHECK (cardinality(assignee_ids) <= 50),
  version bigint NOT NULL DEFAULT 1,
  created_by uuid NOT NULL REFERENCES users (id),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  status_changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  completed_at timestamptz,
  PRIMARY KEY (id, workspace_id)
) PARTITION BY RANGE (id);
CREATE INDEX tasks_position_idx ON tasks (workspace_id, position, id);
CREATE INDEX tasks_priority_idx ON tasks (workspace_id, priority, id);
CREATE INDEX tasks_created_idx ON tasks (workspace_id, created_at, id);
CREATE INDEX tasks_updated_idx ON tasks (workspace_id, updated_at, id);
-- least passes over NULL, as coalesce does; but row-level security takes coalesce for leaky and would not seek by it.
CREATE INDEX tasks_due_idx ON tasks (workspace_id, least(due_at, 'infinity'::timestamptz), id);
CREATE INDEX tasks_status_idx ON tasks (workspace_id, status, position, id);
CREATE INDEX tasks_creator_idx ON tasks (created_by, created_at, id);
CREATE TABLE tasks_default PARTITION OF tasks DEFAULT;

CREATE TABLE deleted_tasks (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
  priority smallint NOT NULL,
  position bigint NOT NULL,
  due_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  deleted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX deleted_tasks_deleted_at_idx ON deleted_tasks (deleted_at);

CREATE TABLE events (
  id uuid NOT NULL DEFAULT taskbell.new_id(),
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  workspace_id uuid NOT NULL,
  type text NOT NULL,
  subject_id uuid NOT NULL,
  actor_id uuid,
  audience uuid[] NOT NULL,
  traceparent text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  data json NOT NULL,
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX events_xid_idx ON events (xid, id);
CREATE TABLE events_default PARTITION OF events DEFAULT;

CREATE TABLE relay_state (
  id smallint PRIMARY KEY DEFAULT 1 CONSTRAINT relay_state_single_row CHECK (id = 1),
  epoch integer NOT NULL DEFAULT 1,
  stream_sequence bigint NOT NULL DEFAULT 0,
  done_snapshot pg_snapshot,
  window_snapshot pg_snapshot,
  window_last_id uuid,
  replay_from timestamptz,
  lease_holder text,
  lease_epoch bigint NOT NULL DEFAULT 0,
  lease_expires_at timestamptz
);
INSERT INTO relay_state (id) VALUES (1);

CREATE TABLE notifications (
  id uuid NOT NULL DEFAULT taskbell.new_id(),
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  kind text NOT NULL CONSTRAINT notifications_kind CHECK (kind IN ('assigned', 'status_changed', 'due_soon')),
  workspace_id uuid NOT NULL,
  task_id uuid,
  actor_id uuid,
  title text NOT NULL,
  body text NOT NULL,
  urgent boolean NOT NULL DEFAULT false,
  read_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX notifications_user_idx ON notifications (user_id, id);
CREATE INDEX notifications_unread_idx ON notifications (user_id, id) WHERE read_at IS NULL;
CREATE TABLE notifications_default PARTITION OF notifications DEFAULT;

CREATE TABLE reminders (
  task_id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  lead interval NOT NULL,
  fire_at timestamptz NOT NULL,
  PRIMARY KEY (task_id, lead),
  FOREIGN KEY (task_id, workspace_id) REFERENCES tasks (id, workspace_id) ON DELETE CASCADE
);
CREATE INDEX reminders_fire_at_idx ON reminders (fire_at);

CREATE TABLE job_log (
  job_id text PRIMARY KEY,
  planned_at timestamptz,
  finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  xid xid8 DEFAULT pg_current_xact_id()
);
CREATE INDEX job_log_finished_at_idx ON job_log (finished_at);

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


def upgrade() -> None:
    """Make the tables; PostgreSQL prepares one statement at a time."""
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
