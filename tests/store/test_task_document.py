"""The wire form of a task, which PostgreSQL builds."""

import json
from uuid import uuid4

from taskbell.api.tasks import schemas
from taskbell.local import db
from taskbell.store.models import Task


async def test_the_document_is_what_the_api_describes(database):
    """The fields that PostgreSQL writes are those of the API's model, in its order, none left out."""
    user, workspace = uuid4(), uuid4()
    async with db.connected(database.owner_url) as connection:
        await connection.execute(
            "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, 'a@example.com', 'Ann', $2)",
            user,
            workspace,
        )
        await connection.execute(
            "INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'Mine', $2)", workspace, user
        )
        text = await connection.fetchval(
            "INSERT INTO tasks (workspace_id, title, created_by, due_at)"
            " VALUES ($1, 'He said \"é\"\n', $2, '2027-01-31 09:00:00+02') "
            " RETURNING taskbell.task_document(tasks)::text",
            workspace,
            user,
        )
    document = json.loads(text)
    assert list(document) == list(schemas.Task.model_fields)
    assert set(document) == {column.name for column in Task.__table__.columns}
    assert document["title"] == 'He said "é"\n'
    assert document["due_at"] == "2027-01-31T07:00:00.000000Z"
    assert schemas.Task.model_validate(document).workspace_id == workspace


async def test_a_document_is_built_without_a_call_for_each_time(database):
    """PostgreSQL puts the text of our functions in their place; each call costs as much as two fields."""
    async with db.connected(database.owner_url) as connection:
        plan = await connection.fetch("EXPLAIN (VERBOSE) SELECT taskbell.task_document(t) FROM tasks t")
    output = next(row[0] for row in plan if "Output: to_json(" in row[0])
    assert "taskbell.rfc3339(" not in output
    assert "to_char(" in output
