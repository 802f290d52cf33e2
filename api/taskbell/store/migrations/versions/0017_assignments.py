"""Everybody's tasks in every order: who is assigned to what, with the sort keys, and the same orders for creators.

Triggers keep the table, so that no statement that writes a task needs to know of it. While the indexes are built,
writing tasks waits.
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE assignments (
  user_id uuid NOT NULL,
  task_id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  position bigint NOT NULL,
  priority smallint NOT NULL,
  due_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (task_id, user_id)
);

-- Its present form is `schema/functions/record_assignments.sql`.
CREATE FUNCTION taskbell.record_assignments() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';

CREATE TRIGGER assigned AFTER INSERT ON tasks FOR EACH ROW
  WHEN (NEW.assignee_ids <> '{}') EXECUTE FUNCTION taskbell.record_assignments();

CREATE TRIGGER assignment_changed AFTER UPDATE ON tasks FOR EACH ROW
  WHEN (OLD.assignee_ids <> '{}' OR NEW.assignee_ids <> '{}') EXECUTE FUNCTION taskbell.record_assignments();

CREATE TRIGGER assignment_ended AFTER DELETE ON tasks FOR EACH ROW
  WHEN (OLD.assignee_ids <> '{}') EXECUTE FUNCTION taskbell.record_assignments();

INSERT INTO assignments
SELECT DISTINCT ON (t.id, assignee) assignee, t.id, t.workspace_id, t.position, t.priority, t.due_at, t.created_at,
  t.updated_at
FROM tasks t, unnest(t.assignee_ids) AS assignee;

CREATE INDEX assignments_position_idx ON assignments (user_id, position, task_id);

CREATE INDEX assignments_priority_idx ON assignments (user_id, priority, task_id);

CREATE INDEX assignments_due_idx ON assignments (user_id, least(due_at, 'infinity'::timestamptz), task_id);

CREATE INDEX assignments_created_idx ON assignments (user_id, created_at, task_id);

CREATE INDEX assignments_updated_idx ON assignments (user_id, updated_at, task_id);

CREATE INDEX tasks_creator_position_idx ON tasks (created_by, position, id);

CREATE INDEX tasks_creator_priority_idx ON tasks (created_by, priority, id);

CREATE INDEX tasks_creator_due_idx ON tasks (created_by, least(due_at, 'infinity'::timestamptz), id);

CREATE INDEX tasks_creator_updated_idx ON tasks (created_by, updated_at, id)
"""


def upgrade() -> None:
    """Add the table, its triggers and the indexes, and fill it."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
