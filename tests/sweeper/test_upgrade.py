"""Tasks that were there before reminders were."""

from datetime import timedelta

from alembic import command

from taskbell.local import db
from taskbell.store import migrate

_TASKS = """
INSERT INTO users (id, email, name, personal_workspace_id)
  VALUES ('00000000-0000-7000-8000-000000000001', 'a@b.example', 'A', '00000000-0000-7000-8000-000000000002');
INSERT INTO workspaces (id, name, created_by)
  VALUES ('00000000-0000-7000-8000-000000000002', 'W', '00000000-0000-7000-8000-000000000001');
INSERT INTO tasks (workspace_id, created_by, title, status, due_at)
  SELECT '00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000001', title, status, now() + due
  FROM (VALUES ('far', 'pending', interval '3 days'), ('near', 'in_progress', interval '2 hours'),
               ('past', 'pending', interval '-1 hour'), ('done', 'completed', interval '3 days'),
               ('free', 'pending', NULL)) t (title, status, due);
"""


async def _migrate(url, revision):
    engine = migrate.engine_of(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(lambda bind: command.upgrade(migrate._config(bind), revision))
            await connection.commit()
    finally:
        await engine.dispose()


async def test_present_tasks_are_reminded_of_too(empty_database):
    """The migration plans the reminders of open tasks that are still to be due, and gives every task its assignees."""
    url = empty_database.owner_url
    await _migrate(url, "0003")
    async with db.connected(url) as owner:
        await owner.execute(_TASKS)
        await _migrate(url, "head")
        rows = await owner.fetch(
            "SELECT t.title, r.lead, r.fire_at <= now() AS fires_now FROM reminders r JOIN tasks t ON t.id = r.task_id"
            " ORDER BY r.fire_at, t.title"
        )
        day, hour = timedelta(days=1), timedelta(hours=1)
        assert [tuple(row) for row in rows] == [
            ("near", day, True),
            ("near", hour, False),
            ("far", day, False),
            ("far", hour, False),
        ]
        assert await owner.fetchval("SELECT count(*) FROM tasks WHERE assignee_ids = '{}'") == 5
