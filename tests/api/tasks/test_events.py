"""Every change writes its events, in its own transaction and no others."""

import asyncio
import json
from uuid import UUID

import pytest
import structlog

from taskbell.contract.events import EventRecord, envelope

pytestmark = pytest.mark.feature("F2")

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


@pytest.fixture
def overrides():
    """Few connections, so that a spoiled one would be met again."""
    return {"database_pool_size": 2}


@pytest.fixture
def change(ann):
    """Calls the API for Ann within a known trace; returns the answer."""

    async def call(method, path, person=ann, **sent):
        answer = await person.request(method, path, headers={"traceparent": TRACE}, **sent)
        assert answer.is_success, answer.text
        assert answer.headers["x-request-id"] == TRACE[3:35]
        return answer

    return call


@pytest.fixture
def written(ann, events):
    """Checks what all events of a task have in common; returns (type, data) of those after the first `skip`."""

    async def read(task, *, skip=1, actor=ann):
        found = (await events(task["id"]))[skip:]
        for event in found:
            assert str(event["workspace_id"]) == task["workspace_id"]
            assert str(event["actor_id"]) == actor.user_id
            assert [str(user) for user in event["audience"]] == [task["created_by"]]
            assert event["traceparent"] == TRACE
            assert event["id"].version == 7
        return [(event["type"], event["text"]) for event in found]

    return read


async def test_a_creation_writes_the_document(change, written):
    """`task.created` holds the answer's document, byte for byte."""
    answer = await change("POST", "/tasks", json={"title": 'Ümlaut \u2028 "quoted" \\ 🥛', "status": "completed"})
    assert await written(answer.json(), skip=0) == [("task.created", answer.text)]


def _with_previous(text, previous):
    """A document with the old values at its end, as the event has it."""
    return f'{text[:-1]},"previous":{previous}}}'


async def test_an_update_writes_the_old_values(ann, change, written):
    """`task.updated` is the answer's document and, under `previous`, the old values of just what changed."""
    task = await ann.create("old", due_at="2027-01-01T00:00:00.5Z", priority=7)
    sent = {"title": "new", "due_at": "2028-01-01T00:00:00Z", "description": "d", "priority": 7}
    answer = await change("PATCH", f"/tasks/{task['id']}", json=sent)
    ((kind, text),) = await written(task)
    assert kind == "task.updated"
    data = json.loads(text)
    assert data.pop("previous") == {name: task[name] for name in ("title", "due_at", "description")}
    assert data == answer.json()
    assert text.startswith(answer.text[:-1] + ',"previous":{')


async def test_a_change_of_status_is_its_own_event(ann, change, written):
    """`task.status_changed` has the old status; with another change it is the second of two events."""
    task = await ann.create("old")
    path = f"/tasks/{task['id']}"
    first = await change("PATCH", path, json={"status": "in_progress"})
    second = await change("PATCH", path, json={"status": "completed", "title": "new"})
    assert await written(task) == [
        ("task.status_changed", _with_previous(first.text, '{"status":"pending"}')),
        ("task.updated", _with_previous(second.text, '{"title":"old"}')),
        ("task.status_changed", _with_previous(second.text, '{"status":"in_progress"}')),
    ]


async def test_a_replacement_tells_what_it_reset(ann, change, written):
    """PUT writes the same events: what took its default is in `previous`."""
    task = await ann.create(description="gone", priority=1, status="cancelled")
    answer = await change("PUT", f"/tasks/{task['id']}", json={"title": task["title"]})
    (updated, changed) = await written(task)
    assert json.loads(updated[1])["previous"] == {"description": "gone", "priority": 1}
    assert changed == ("task.status_changed", _with_previous(answer.text, '{"status":"cancelled"}'))


async def test_a_move_tells_the_former_position(ann, change, written):
    """`task.moved` is the answer's document and the position before."""
    task, other = await ann.create(), await ann.create()
    answer = await change("POST", f"/tasks/{task['id']}/move", json={"after": other["id"]})
    assert await written(task) == [("task.moved", _with_previous(answer.text, f'{{"position":{task["position"]}}}'))]
    assert await written(other) == []


async def test_neighbours_that_make_room_are_told(ann, change, written, owner):
    """When a used-up gap is re-spread, each neighbour that moves has a `task.moved` with its own positions."""
    tasks = [await ann.create() for _ in range(4)]
    for number, task in enumerate(tasks):
        await owner.execute("UPDATE tasks SET position = $2 WHERE id = $1", task["id"], number)
    await change("POST", f"/tasks/{tasks[3]['id']}/move", json={"after": tasks[0]["id"]})
    for number, task in enumerate(tasks):
        now = await ann.get(task["id"])
        told = [(kind, json.loads(text)) for kind, text in await written(task)]
        moved = now["position"] != number
        assert told == ([("task.moved", {**now, "previous": {"position": number}})] if moved else [])
        assert now["version"] == (2 if moved else 1)


async def test_a_deletion_writes_the_last_document(ann, change, written, owner):
    """`task.deleted` holds the task as it last was; its sort keys stay behind, nothing else."""
    task = await ann.create("x", due_at="2027-01-01T00:00:00Z")
    last = await ann.request("GET", f"/tasks/{task['id']}")
    await change("DELETE", f"/tasks/{task['id']}")
    assert await written(task) == [("task.deleted", last.text)]
    row = await owner.fetchrow("SELECT * FROM deleted_tasks WHERE id = $1", task["id"])
    assert (row["position"], row["priority"]) == (task["position"], task["priority"])
    assert await owner.fetchval("SELECT count(*) FROM tasks WHERE id = $1", task["id"]) == 0


async def test_the_creator_hears_what_others_do(ann, bob, join, change, written):
    """The audience of an event is the task's creator, and the actor is the user who made the change."""
    await join(bob, ann, "member")
    task = await ann.create()
    other = await ann.create()
    path = f"/tasks/{task['id']}"
    await change("PATCH", path, person=bob, json={"title": "Bob's words", "status": "completed"})
    await change("POST", f"{path}/move", person=bob, json={"after": other["id"]})
    await change("DELETE", path, person=bob)
    kinds = [kind for kind, _ in await written(task, actor=bob)]
    assert kinds == ["task.updated", "task.status_changed", "task.moved", "task.deleted"]


async def test_a_request_without_a_trace_starts_one(ann, events):
    """Without `traceparent`, or with a malformed one, the event carries the trace that the request id names."""
    for headers in ({}, {"traceparent": "nonsense"}, {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"}):
        answer = await ann.request("POST", "/tasks", json={"title": "t"}, headers=headers)
        (event,) = await events(answer.json()["id"])
        assert event["traceparent"].startswith(f"00-{answer.headers['x-request-id']}-")


async def test_events_become_envelopes(ann, change, events):
    """What is stored is a valid CloudEvent whose data is the document that the client got."""
    answer = await change("POST", "/tasks", json={"title": "t"})
    (row,) = await events(answer.json()["id"])
    columns = ("id", "workspace_id", "type", "subject_id", "actor_id", "traceparent", "created_at")
    record = EventRecord(**{name: row[name] for name in columns}, audience=tuple(row["audience"]), data=row["text"])
    document = json.loads(envelope(record))
    assert document["specversion"] == "1.0"
    assert document["data"] == answer.json()
    assert document["subject"] == document["data"]["id"]


async def test_task_and_events_are_of_one_transaction(ann, change, owner):
    """The row's version and all events of a change carry one transaction id."""
    task = await ann.create()
    await change("PATCH", f"/tasks/{task['id']}", json={"status": "completed", "title": "new"})
    rows = await owner.fetch(
        "SELECT DISTINCT e.xid::text, t.xmin::text FROM events e JOIN tasks t ON t.id = e.subject_id"
        " WHERE e.subject_id = $1 AND e.type <> 'task.created'",
        task["id"],
    )
    assert len(rows) == 1
    assert int(rows[0][0]) & 0xFFFFFFFF == int(rows[0][1])


_CHANGES = {
    "create": ("POST", "/tasks", {"json": {"title": "new"}}),
    "patch": ("PATCH", "/tasks/{0}", {"json": {"title": "new", "status": "completed"}}),
    "put": ("PUT", "/tasks/{0}", {"json": {"title": "new"}}),
    "move": ("POST", "/tasks/{0}/move", {"json": {"after": "{1}"}}),
    "delete": ("DELETE", "/tasks/{0}", {}),
}


def _call(person, name, ids):
    method, path, sent = _CHANGES[name]
    if name == "move":
        sent = {"json": {"after": ids[1]}}
    return person.request(method, path.format(*ids), **sent)


@pytest.mark.parametrize("name", _CHANGES)
async def test_without_its_event_nothing_changes(ann, owner, events, problem, name):
    """When the event cannot be written the whole change is undone, and the next request finds a working connection."""
    tasks = [await ann.create() for _ in range(2)]
    await owner.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    for _ in range(3):  # more often than the pool has connections
        with structlog.testing.capture_logs() as logs:
            told = problem(await _call(ann, name, [task["id"] for task in tasks]), 500, "internal_error")
        assert "disk" not in json.dumps(told)
        assert "request_failed" in [line["event"] for line in logs]
    assert await ann.everything() == tasks
    assert len(await events()) == 2
    await owner.execute("DROP TRIGGER refuse ON events")
    assert (await _call(ann, name, [task["id"] for task in tasks])).is_success
    assert len(await events()) == 3 + (name == "patch")


@pytest.mark.parametrize("name", _CHANGES)
async def test_an_abandoned_change_leaves_nothing(ann, owner, events, name):
    """A request that is cancelled while it waits for the database changes nothing and spoils no connection."""
    tasks = [await ann.create() for _ in range(2)]
    for _ in range(3):  # more often than the pool has connections
        async with owner.transaction():
            await owner.execute("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE")
            request = asyncio.ensure_future(_call(ann, name, [task["id"] for task in tasks]))
            while not await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                assert not request.done()
                await asyncio.sleep(0)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
    assert await ann.everything() == tasks
    assert len(await events()) == 2
    assert (await _call(ann, name, [task["id"] for task in tasks])).is_success


async def test_events_of_one_task_are_in_the_order_of_its_versions(ann, events):
    """However many writers a task has at once, the events' ids order its versions."""
    task = await ann.create()
    others = [await ann.create() for _ in range(10)]
    path = f"/tasks/{task['id']}"
    work = [ann.request("PATCH", path, json={"title": f"t{number}"}) for number in range(20)]
    work += [ann.request("PATCH", path, json={"status": status}) for status in ("completed", "cancelled") * 5]
    work += [ann.request("POST", f"{path}/move", json={"after": other["id"]}) for other in others]
    await asyncio.gather(*work)
    versions = [json.loads(event["text"])["version"] for event in await events(UUID(task["id"]))]
    assert versions == sorted(versions)
    assert versions[-1] == (await ann.get(task["id"]))["version"]
    assert set(versions) == set(range(1, versions[-1] + 1))
