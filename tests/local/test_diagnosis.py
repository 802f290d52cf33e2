from pathlib import Path

import pytest

from taskbell.local import db, diagnosis
from taskbell.local.diagnosis import Severity, diagnose
from taskbell.local.settings import LocalSettings

_PERSON = "INSERT INTO users (id, email, name, personal_workspace_id) VALUES (taskbell.new_id(), 'a@b.c', 'A', $1)"
_WORKSPACE = "INSERT INTO workspaces (id, name, created_by) SELECT $1, 'W', id FROM users"
_REMINDER = """
WITH task AS (
  INSERT INTO tasks (workspace_id, title, due_at, created_by)
  SELECT personal_workspace_id, 'T', now(), id FROM users RETURNING id, workspace_id
)
INSERT INTO reminders (task_id, workspace_id, lead, fire_at)
SELECT id, workspace_id, '1 hour', now() - $1::text::interval FROM task
"""


async def test_reminders_that_do_not_fire_are_told(database):
    """None, one that is not due, one that just fell due: all is well. One that waits for minutes: no sweep runs."""
    async with db.connected(database.owner_url) as connection:
        assert (await diagnosis._reminders(database.owner_url)).severity == "ok"
        workspace = await connection.fetchval("SELECT taskbell.new_id()")
        await connection.execute(_PERSON, workspace)
        await connection.execute(
            "INSERT INTO workspaces (id, name, created_by) SELECT $1, 'W', id FROM users", workspace
        )
        await connection.execute(_REMINDER, "-1 hour")
        assert (await diagnosis._reminders(database.owner_url)).severity == "ok"
        await connection.execute(_REMINDER, "1 second")
        assert (await diagnosis._reminders(database.owner_url)).severity == "ok"
        await connection.execute(_REMINDER, "10 minutes")
    found = await diagnosis._reminders(database.owner_url)
    assert found.severity == "warn"
    assert found.detail.startswith("2 are overdue, the oldest for 6")
    assert found.remedy


async def test_a_folder_of_somebody_else_is_a_finding(tmp_path, monkeypatch):
    """A data directory that cannot be entered is reported with a remedy, like any other finding."""
    foreign = tmp_path / "foreign" / "data"
    whole = Path.stat

    def stat(path: Path, **options: bool):
        if foreign.parent in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    findings = await diagnose(LocalSettings(data_dir=foreign, api_port=0, gateway_port=0), {})
    (found,) = [finding for finding in findings if finding.name == "data directory"]
    assert found.severity is Severity.FAIL
    assert "cannot be entered" in found.detail
    assert found.remedy


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    monkeypatch.delenv("TASKBELL_DATA_DIR", raising=False)
