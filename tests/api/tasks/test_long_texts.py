"""Events carry a long text once, when it changes; and no event is larger than what the platform can carry."""

import json

import asyncpg
import pytest

from taskbell.contract.events import LONG_TEXT_BYTES, MAX_DATA_BYTES, MAX_MESSAGE_BYTES, EventRecord, envelope
from taskbell.kit.ids import new_id

LONGEST = [chr(1) * 20_000, "\U0001f9e8" * 20_000, '"\\' * 10_000]
"""Descriptions of the most characters: escaped in JSON to six bytes each, of four bytes each, escaped to two."""


def _data(events):
    return [(event["type"], json.loads(event["text"])) for event in events]


async def test_a_long_text_is_in_the_event_that_changes_it_and_named_in_all_others(ann, events, validate_event):
    """Old values are treated alike, what is left out is named, and each event is what its schema describes."""
    task = await ann.create(description=LONGEST[0], assignee_ids=[ann.user_id])
    path, other = f"/tasks/{task['id']}", await ann.create()
    await ann.request("PATCH", path, json={"status": "completed", "title": "new", "assignee_ids": []})
    await ann.request("PATCH", path, json={"description": LONGEST[1], "status": "pending"})
    await ann.request("PATCH", path, json={"description": "short", "priority": 1})
    await ann.request("PATCH", path, json={"description": LONGEST[1]})
    await ann.request("POST", f"{path}/move", json={"after": other["id"]})
    last = await ann.get(task["id"])
    await ann.request("DELETE", path)
    found = _data(await events(task["id"]))
    for kind, data in found:
        validate_event(kind, data)
    long, old = "/description", "/previous/description"
    told = [(kind, data.get("description"), data.get("previous"), data.get("omitted")) for kind, data in found]
    assert told == [
        ("task.created", LONGEST[0], None, None),
        ("task.assigned", None, {"assignee_ids": []}, [long]),
        ("task.updated", None, {"title": "A task"}, [long]),
        ("task.status_changed", None, {"status": "pending"}, [long]),
        ("task.assigned", None, {"assignee_ids": [ann.user_id]}, [long]),
        ("task.updated", LONGEST[1], {}, [old]),
        ("task.status_changed", None, {"status": "completed"}, [long]),
        ("task.updated", "short", {"priority": 5}, [old]),
        ("task.updated", LONGEST[1], {"description": "short"}, None),
        ("task.moved", None, {"position": task["position"]}, [long]),
        ("task.deleted", None, None, [long]),
    ]
    rest = {name: value for name, value in found[-1][1].items() if name != "omitted"}
    assert rest | {"description": LONGEST[1]} == last  # all else is there, as it was


@pytest.mark.parametrize("character", ["a", "é", "\x01", "\n", '"'])
async def test_a_text_is_long_by_its_bytes_in_json(ann, events, character):
    """The same bound holds for a value that did not change and for an old one."""
    fits = (LONG_TEXT_BYTES - 2) // len(json.dumps(character, ensure_ascii=False).encode()[1:-1])
    for length, is_long in ((fits, False), (fits + 1, True)):
        task = await ann.create(description=character * length)
        path = f"/tasks/{task['id']}"
        await ann.request("PATCH", path, json={"title": "new"})
        await ann.request("PATCH", path, json={"description": None})
        (_, unchanged), (_, changed) = _data(await events(task["id"]))[1:]
        assert (unchanged.get("omitted"), changed.get("omitted")) == (
            (["/description"], ["/previous/description"]) if is_long else (None, None)
        )
        assert ("description" in unchanged, "description" in changed["previous"]) == (not is_long, not is_long)


@pytest.mark.parametrize("description", LONGEST, ids=["control", "four bytes", "quoted"])
async def test_the_largest_event_can_be_carried(ann, events, owner, description):
    """With each field at its limit, in the characters that take the most bytes, an event is within its bound."""
    crowd = [ann.user_id]
    for user in [new_id() for _ in range(49)]:
        await owner.execute(
            "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, $2, 'u', $3)",
            user,
            f"{user}@crowd.example",
            ann.workspace_id,
        )
        await owner.execute(
            "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'member')", user, ann.workspace_id
        )
        crowd.append(str(user))
    dates = {"start_at": "2027-01-01T00:00:00.123456Z", "due_at": "2027-01-02T00:00:00.123456Z"}
    title, just_told = description[:255], "x" * (LONG_TEXT_BYTES - 2)
    task = await ann.create(title=title, description=just_told, assignee_ids=crowd, status="completed", **dates)
    later = {name: text.replace("2027", "2028") for name, text in dates.items()}
    changes = {"title": title[:254] + "x", "description": description, "priority": 10, "status": "pending"}
    answer = await ann.request("PATCH", f"/tasks/{task['id']}", json=changes | later)
    assert answer.status_code == 200
    rows = await events(task["id"])
    sizes = [len(row["text"].encode()) for row in rows]
    assert len(description.encode()) < max(sizes) <= MAX_DATA_BYTES - 16 * 1024  # room for fields that come later
    columns = ("id", "workspace_id", "type", "subject_id", "actor_id", "traceparent", "created_at")
    for row in rows:
        record = EventRecord(**{name: row[name] for name in columns}, audience=tuple(row["audience"]), data=row["text"])
        headers = 1024 + 37 * len(row["audience"])
        assert len(envelope(record)) + headers <= MAX_MESSAGE_BYTES


async def test_a_larger_event_is_refused_with_its_change(ann, events, owner, problem):
    """The database bounds each event; the client gets a 413, and nothing of the change is kept."""
    task = await ann.create()
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute(
            "INSERT INTO events (workspace_id, type, subject_id, audience, data) VALUES ($1, 't.t', $1, '{}', $2)",
            ann.workspace_id,
            json.dumps("x" * (MAX_DATA_BYTES - 1)),
        )
    await owner.execute(
        "ALTER TABLE events DROP CONSTRAINT events_data_size,"
        " ADD CONSTRAINT events_data_size CHECK (octet_length(data::text) <= 2000) NOT VALID"
    )
    for method, path in (("POST", "/tasks"), ("PATCH", f"/tasks/{task['id']}")):
        answer = await ann.request(method, path, json={"title": "t", "description": "x" * 2000})
        assert "one event" in problem(answer, 413, "body_too_large")["detail"]
    assert await ann.everything() == [task]
    assert len(await events()) == 1
