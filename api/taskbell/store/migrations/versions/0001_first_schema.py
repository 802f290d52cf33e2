"""Users, workspaces, memberships, sessions, tasks, events, the relay's state; row-level security for each role.

The roles `taskbell_api`, `taskbell_relay` and `taskbell_gateway` belong to the cluster, not to this database, so they
are prepared beforehand (`taskbell.store.roles`); here they only receive their rights.
"""

from __future__ import annotations

from alembic import op

from taskbell.store.scripts import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FUNCTIONS = """
CREATE SCHEMA taskbell;

-- UUIDv7 (RFC 9562): PostgreSQL's own from 18 on, else 48 bits of milliseconds over a random version 4.
DO $do$ BEGIN
  IF current_setting('server_version_num')::int >= 180000 THEN
    CREATE FUNCTION taskbell.new_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
      AS 'SELECT uuidv7()';
  ELSE
    CREATE FUNCTION taskbell.new_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $f$
      SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
        substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid
    $f$;
  END IF;
END $do$;

CREATE FUNCTION taskbell.actor() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('taskbell.actor', true), '')::uuid;
COMMENT ON FUNCTION taskbell.actor() IS 'Who the transaction acts for; NULL admits nothing.';

CREATE FUNCTION taskbell.rfc3339(instant timestamptz) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

CREATE SEQUENCE task_position AS bigint INCREMENT BY 1000 START WITH 1000;
COMMENT ON SEQUENCE task_position IS 'A new task goes past every other one without a lock; gaps are at least 1,000.';
"""

TABLES = """
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
"""

WIRE = """
-- A task's wire form, built once: the API's answer and the event's data are this text.
CREATE TYPE taskbell.task_wire AS (
  id uuid, workspace_id uuid, title text, description text, status text, priority smallint, position bigint,
  start_at text, due_at text, version bigint, created_by uuid, created_at text, updated_at text,
  status_changed_at text, completed_at text
);
CREATE FUNCTION taskbell.task_document(t tasks) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_json(ROW(
    t.id, t.workspace_id, t.title, t.description, t.status, t.priority, t.position,
    taskbell.rfc3339(t.start_at), taskbell.rfc3339(t.due_at), t.version, t.created_by, taskbell.rfc3339(t.created_at),
    taskbell.rfc3339(t.updated_at), taskbell.rfc3339(t.status_changed_at), taskbell.rfc3339(t.completed_at)
  )::taskbell.task_wire)
$$;
"""

SIGN_IN = """
-- Before anybody is signed in there is no actor: these two look-ups are all that the API may see then.
CREATE FUNCTION taskbell.account_by_email(wanted text)
  RETURNS TABLE (id uuid, password_hash text, personal_workspace_id uuid)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT u.id, u.password_hash, u.personal_workspace_id FROM users u WHERE lower(u.email) = lower(wanted)
$$;
CREATE FUNCTION taskbell.refresh_token_owner(wanted bytea) RETURNS uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT r.user_id FROM refresh_tokens r WHERE r.token_hash = wanted
$$;
REVOKE EXECUTE ON FUNCTION taskbell.account_by_email(text), taskbell.refresh_token_owner(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.account_by_email(text), taskbell.refresh_token_owner(bytea) TO taskbell_api;
"""

MINE = "workspace_id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor())"
MINE_TO_CHANGE = (
    "workspace_id IN (SELECT m.workspace_id FROM memberships m"
    " WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer')"
)

# Built from constants of this module.
POLICIES = f"""
CREATE POLICY own_account ON users TO taskbell_api USING (id = taskbell.actor());
CREATE POLICY own_sessions ON sessions TO taskbell_api USING (user_id = taskbell.actor());
CREATE POLICY own_refresh_tokens ON refresh_tokens TO taskbell_api USING (user_id = taskbell.actor());
CREATE POLICY attempts ON login_attempts TO taskbell_api USING (true);

CREATE POLICY seen ON workspaces FOR SELECT TO taskbell_api
  USING (created_by = taskbell.actor()
         OR id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor()));
CREATE POLICY founded ON workspaces FOR INSERT TO taskbell_api WITH CHECK (created_by = taskbell.actor());
CREATE POLICY locked ON workspaces FOR UPDATE TO taskbell_api
  USING (id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer'));

CREATE POLICY own_memberships ON memberships FOR SELECT TO taskbell_api USING (user_id = taskbell.actor());
CREATE POLICY founder ON memberships FOR INSERT TO taskbell_api
  WITH CHECK (user_id = taskbell.actor() AND role = 'owner'
              AND workspace_id IN (SELECT w.id FROM workspaces w WHERE w.created_by = taskbell.actor()));
CREATE POLICY read_by_gateway ON memberships FOR SELECT TO taskbell_gateway USING (true);

CREATE POLICY seen ON tasks FOR SELECT TO taskbell_api USING ({MINE});
CREATE POLICY created ON tasks FOR INSERT TO taskbell_api WITH CHECK ({MINE_TO_CHANGE});
CREATE POLICY changed ON tasks FOR UPDATE TO taskbell_api USING ({MINE_TO_CHANGE});
CREATE POLICY deleted ON tasks FOR DELETE TO taskbell_api USING ({MINE_TO_CHANGE});
CREATE POLICY seen ON deleted_tasks FOR SELECT TO taskbell_api USING ({MINE});
CREATE POLICY recorded ON deleted_tasks FOR INSERT TO taskbell_api WITH CHECK ({MINE_TO_CHANGE});

CREATE POLICY seen ON events FOR SELECT TO taskbell_api USING ({MINE});
CREATE POLICY written ON events FOR INSERT TO taskbell_api WITH CHECK ({MINE});
CREATE POLICY carried ON events FOR SELECT TO taskbell_relay USING (true);
"""

GRANTS = """
GRANT USAGE ON SCHEMA taskbell TO taskbell_api, taskbell_relay, taskbell_gateway;
GRANT SELECT, INSERT, UPDATE ON users, sessions, refresh_tokens TO taskbell_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON login_attempts TO taskbell_api;
GRANT SELECT, INSERT, UPDATE ON workspaces TO taskbell_api;
GRANT SELECT, INSERT ON memberships, deleted_tasks, events TO taskbell_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON tasks TO taskbell_api;
GRANT USAGE ON SEQUENCE task_position TO taskbell_api;
GRANT SELECT ON events TO taskbell_relay;
GRANT SELECT, UPDATE ON relay_state TO taskbell_relay;
GRANT SELECT ON memberships TO taskbell_gateway;
GRANT SELECT ON alembic_version TO taskbell_api, taskbell_relay, taskbell_gateway;
"""

SECURED = (
    "users",
    "sessions",
    "refresh_tokens",
    "login_attempts",
    "workspaces",
    "memberships",
    "tasks",
    "deleted_tasks",
    "events",
)


def upgrade() -> None:
    """Build everything."""
    for script in (FUNCTIONS, TABLES, WIRE, SIGN_IN, POLICIES, GRANTS):
        run_script(script)
    for table in SECURED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        # Forced means the owner too: maintenance and the look-ups before sign-in are its stated exception.
        op.execute(f"CREATE POLICY maintenance ON {table} TO CURRENT_USER USING (true)")


def downgrade() -> None:
    """Remove everything."""
    for table in (*reversed(SECURED), "relay_state"):
        op.execute(f"DROP TABLE {table} CASCADE")
    op.execute("DROP SEQUENCE task_position")
    op.execute("DROP SCHEMA taskbell CASCADE")
