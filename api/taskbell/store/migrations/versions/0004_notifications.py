"""Assignees, notifications, reminders, and the role that sweeps them.

The role `taskbell_sweeper` belongs to the cluster (`taskbell.store.roles`); here it only receives its rights.
"""

from __future__ import annotations

from alembic import op

from taskbell.store.scripts import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE tasks ADD COLUMN assignee_ids uuid[] NOT NULL DEFAULT '{}'
  CONSTRAINT tasks_assignees_count CHECK (cardinality(assignee_ids) <= 50);

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
  finished_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX job_log_finished_at_idx ON job_log (finished_at);
"""

# The old type has no order that the new field could be put into.
WIRE = """
DROP TYPE taskbell.task_wire;
CREATE TYPE taskbell.task_wire AS (
  id uuid, workspace_id uuid, title text, description text, status text, priority smallint, position bigint,
  assignee_ids uuid[], start_at text, due_at text, version bigint, created_by uuid, created_at text, updated_at text,
  status_changed_at text, completed_at text
);
CREATE OR REPLACE FUNCTION taskbell.task_document(t tasks) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_json(ROW(
    t.id, t.workspace_id, t.title, t.description, t.status, t.priority, t.position, t.assignee_ids,
    taskbell.rfc3339(t.start_at), taskbell.rfc3339(t.due_at), t.version, t.created_by, taskbell.rfc3339(t.created_at),
    taskbell.rfc3339(t.updated_at), taskbell.rfc3339(t.status_changed_at), taskbell.rfc3339(t.completed_at)
  )::taskbell.task_wire)
$$;

CREATE TYPE taskbell.notification_wire AS (
  id uuid, kind text, workspace_id uuid, task_id uuid, actor_id uuid, title text, body text, urgent boolean,
  read_at text, created_at text
);
CREATE FUNCTION taskbell.notification_document(n notifications) RETURNS json
  LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_json(ROW(
    n.id, n.kind, n.workspace_id, n.task_id, n.actor_id, n.title, n.body, n.urgent,
    taskbell.rfc3339(n.read_at), taskbell.rfc3339(n.created_at)
  )::taskbell.notification_wire)
$$;
"""

FUNCTIONS = """
CREATE FUNCTION taskbell.task_audience(workspace uuid, creator uuid, assignees uuid[], actor uuid) RETURNS uuid[]
  LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN creator = actor AND cardinality(assignees) = 0 THEN ARRAY[creator]
              ELSE taskbell.audience(workspace, creator || assignees) END
$$;
COMMENT ON FUNCTION taskbell.task_audience(uuid, uuid, uuid[], uuid) IS
  'Whom a task''s event concerns. Who created the task may have left since; the actor is known to be a member.';

-- A loop and not one statement: the document is made from the very row that is written, and row-level security lets
-- nobody read back (RETURNING) what is another's.
CREATE FUNCTION taskbell.notify(concerned uuid[], kind text, workspace uuid, task uuid, actor uuid, title text,
                                body text, traceparent text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  person uuid;
  told integer := 0;
  notice notifications;
BEGIN
  notice.kind := kind;
  notice.workspace_id := workspace;
  notice.task_id := task;
  notice.actor_id := actor;
  notice.title := title;
  notice.body := body;
  notice.urgent := false;
  FOREACH person IN ARRAY taskbell.audience(workspace, concerned) LOOP
    CONTINUE WHEN person = actor;
    notice.id := taskbell.new_id();
    notice.user_id := person;
    notice.created_at := clock_timestamp();
    INSERT INTO notifications SELECT notice.*;
    INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
    VALUES (workspace, 'notification.created', notice.id, actor, ARRAY[person], traceparent,
            taskbell.notification_document(notice));
    told := told + 1;
  END LOOP;
  RETURN told;
END
$$;
COMMENT ON FUNCTION taskbell.notify(uuid[], text, uuid, uuid, uuid, text, text, text) IS
  'Notifies those concerned who are members, but not who did it; returns how many.';

CREATE FUNCTION taskbell.plan_reminders(task uuid, workspace uuid, due timestamptz, leads interval[]) RETURNS integer
  LANGUAGE plpgsql AS $$
DECLARE
  planned integer;
BEGIN
  DELETE FROM reminders r WHERE r.task_id = task;
  INSERT INTO reminders (task_id, workspace_id, lead, fire_at)
  SELECT task, workspace, l.lead, greatest(due - l.lead, now())
  FROM unnest(leads) AS l (lead)
  WHERE due > now()
    AND (due - l.lead > now()
         OR l.lead = (SELECT min(p.lead) FROM unnest(leads) AS p (lead) WHERE due - p.lead <= now()));
  GET DIAGNOSTICS planned = ROW_COUNT;
  RETURN planned;
END
$$;
COMMENT ON FUNCTION taskbell.plan_reminders(uuid, uuid, timestamptz, interval[]) IS
  'Replaces a task''s reminders; of those whose time is past already the nearest fires at once. No due time: none.';
"""

MINE = "workspace_id IN (SELECT m.workspace_id FROM memberships m WHERE m.user_id = taskbell.actor())"
MINE_TO_CHANGE = (
    "workspace_id IN (SELECT m.workspace_id FROM memberships m"
    " WHERE m.user_id = taskbell.actor() AND m.role <> 'viewer')"
)

# Built from constants of this module.
POLICIES = f"""
CREATE POLICY own ON notifications FOR SELECT TO taskbell_api USING (user_id = taskbell.actor());
CREATE POLICY read ON notifications FOR UPDATE TO taskbell_api USING (user_id = taskbell.actor());
CREATE POLICY told ON notifications FOR INSERT TO taskbell_api
  WITH CHECK ({MINE_TO_CHANGE} AND actor_id = taskbell.actor());
CREATE POLICY reminded ON notifications FOR INSERT TO taskbell_sweeper WITH CHECK (kind = 'due_soon');

CREATE POLICY seen ON reminders FOR SELECT TO taskbell_api USING ({MINE});
CREATE POLICY planned ON reminders FOR INSERT TO taskbell_api WITH CHECK ({MINE_TO_CHANGE});
CREATE POLICY unplanned ON reminders FOR DELETE TO taskbell_api USING ({MINE_TO_CHANGE});
CREATE POLICY swept ON reminders TO taskbell_sweeper USING (true);

CREATE POLICY swept ON tasks FOR SELECT TO taskbell_sweeper USING (true);
CREATE POLICY reminded ON events FOR INSERT TO taskbell_sweeper WITH CHECK (type = 'notification.created');
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE (read_at) ON notifications TO taskbell_api;
GRANT SELECT, INSERT, DELETE ON reminders TO taskbell_api;

GRANT USAGE ON SCHEMA taskbell TO taskbell_sweeper;
GRANT EXECUTE ON FUNCTION taskbell.audience(uuid, uuid[]) TO taskbell_sweeper;
GRANT SELECT (id, workspace_id, title, status, due_at, assignee_ids, created_by) ON tasks TO taskbell_sweeper;
-- SELECT ... FOR UPDATE asks for the right to update a column.
GRANT SELECT, UPDATE (fire_at), DELETE ON reminders TO taskbell_sweeper;
GRANT SELECT, INSERT ON job_log TO taskbell_sweeper;
GRANT INSERT ON notifications, events TO taskbell_sweeper;
GRANT SELECT ON alembic_version TO taskbell_sweeper;
"""

SECURED = ("notifications", "reminders")

# By the default leads: a migration knows no settings, and the next change of a task plans anew.
PRESENT_TASKS = """
SELECT count(taskbell.plan_reminders(id, workspace_id, due_at, ARRAY['24 hours', '1 hour']::interval[]))
FROM tasks WHERE due_at > now() AND status IN ('pending', 'in_progress');
"""

FORMER_WIRE = """
DROP TYPE taskbell.task_wire;
CREATE TYPE taskbell.task_wire AS (
  id uuid, workspace_id uuid, title text, description text, status text, priority smallint, position bigint,
  start_at text, due_at text, version bigint, created_by uuid, created_at text, updated_at text,
  status_changed_at text, completed_at text
);
CREATE OR REPLACE FUNCTION taskbell.task_document(t tasks) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_json(ROW(
    t.id, t.workspace_id, t.title, t.description, t.status, t.priority, t.position,
    taskbell.rfc3339(t.start_at), taskbell.rfc3339(t.due_at), t.version, t.created_by, taskbell.rfc3339(t.created_at),
    taskbell.rfc3339(t.updated_at), taskbell.rfc3339(t.status_changed_at), taskbell.rfc3339(t.completed_at)
  )::taskbell.task_wire)
$$;
"""


def upgrade() -> None:
    """Add them."""
    for script in (TABLES, WIRE, FUNCTIONS, POLICIES, GRANTS, PRESENT_TASKS):
        run_script(script)
    for table in SECURED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY maintenance ON {table} TO CURRENT_USER USING (true)")


def downgrade() -> None:
    """Remove them."""
    run_script("""
DROP FUNCTION taskbell.plan_reminders(uuid, uuid, timestamptz, interval[]),
  taskbell.notify(uuid[], text, uuid, uuid, uuid, text, text, text),
  taskbell.task_audience(uuid, uuid, uuid[], uuid);
DROP TABLE job_log, reminders;
DROP TABLE notifications CASCADE;
DROP TYPE taskbell.notification_wire;
DROP POLICY swept ON tasks;
DROP POLICY reminded ON events;
REVOKE ALL ON tasks, events, alembic_version FROM taskbell_sweeper;
REVOKE ALL (id, workspace_id, title, status, due_at, assignee_ids, created_by) ON tasks FROM taskbell_sweeper;
REVOKE ALL ON FUNCTION taskbell.audience(uuid, uuid[]) FROM taskbell_sweeper;
REVOKE ALL ON SCHEMA taskbell FROM taskbell_sweeper;
""")
    run_script(FORMER_WIRE)
    op.execute("ALTER TABLE tasks DROP COLUMN assignee_ids")
