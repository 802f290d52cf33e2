"""The schemas hold what the contract and the database say."""

import json
import uuid
from datetime import UTC, datetime

import jsonschema
import pytest

from taskbell.contract.events import SCHEMA_BASE, EventRecord, EventType, envelope
from taskbell.contract.schemas.documents import event_schemas
from taskbell.local import db


def record(**changes):
    """An event as the database holds it."""
    values = {
        "id": uuid.uuid4(),
        "workspace_id": uuid.uuid4(),
        "type": "task.created",
        "subject_id": uuid.uuid4(),
        "actor_id": uuid.uuid4(),
        "audience": (uuid.uuid4(),),
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "created_at": datetime.now(UTC),
        "data": json.dumps({"id": str(uuid.uuid4())}),
    }
    return EventRecord(**{**values, **changes})


def test_every_event_type_has_a_schema_and_every_schema_is_one():
    """No type is without its schema; each names itself by the address that events carry; none is malformed."""
    assert set(event_schemas()) == {*map(str, EventType), "task", "comment", "notification", "envelope"}
    for name, schema in event_schemas().items():
        assert schema["$id"] == f"{SCHEMA_BASE}/{name}.json"
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("changes", [{}, {"actor_id": None, "traceparent": None}])
def test_the_envelope_is_as_its_schema_says(changes, validate_event):
    """With and without the optional attributes."""
    validate_event("envelope", json.loads(envelope(record(**changes))))


async def test_the_document_of_a_task_is_as_its_schema_says(database, validate_event):
    """What the database function builds validates as data of each task event, and a stranger's field does not."""
    async with db.connected(database.owner_url) as connection:
        user, workspace = uuid.uuid4(), uuid.uuid4()
        await connection.execute(
            "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, 'a@b.example', 'A', $2)",
            user,
            workspace,
        )
        await connection.execute("INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'W', $2)", workspace, user)
        text = await connection.fetchval(
            "INSERT INTO tasks (workspace_id, title, created_by, due_at) VALUES ($1, 'T', $2, now())"
            " RETURNING taskbell.task_document(tasks)::text",
            workspace,
            user,
        )
    document = json.loads(text)
    validate_event("task.created", document)
    validate_event("task.deleted", document)
    validate_event("task.updated", {**document, "previous": {"title": "Old", "due_at": None}})
    validate_event("task.status_changed", {**document, "previous": {"status": "completed"}})
    validate_event("task.moved", {**document, "previous": {"position": 1}})
    validate_event("task.assigned", {**document, "previous": {"assignee_ids": [str(user)]}})
    without_description = {name: value for name, value in document.items() if name != "description"}
    for name, wrong in (
        ("task.created", {**document, "stranger": 1}),
        ("task.updated", document),
        ("task.updated", {**document, "previous": {"status": "pending"}}),
        ("task.moved", {**document, "previous": {}}),
        ("task.updated", {**document, "previous": {}}),
        ("task.updated", {**document, "previous": {}, "omitted": ["/title"]}),
        ("task.moved", {**without_description, "previous": {"position": 1}}),
        ("task.created", {**without_description, "omitted": ["/description"]}),
    ):
        with pytest.raises(jsonschema.ValidationError):
            validate_event(name, wrong)
