"""Tasks are created, read, changed, replaced and deleted; versions guard changes."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

FIELDS = {
    "title": 'Buy “milk” \\ / "quoted" 🥛\n\t\u2028\x01',
    "description": "two\nlines",
    "status": "in_progress",
    "priority": 1,
    "start_at": "2027-01-01T08:00:00.000001Z",
    "due_at": "2027-01-02T09:30:00.500000Z",
}
DEFAULTS = {"description": None, "status": "pending", "priority": 5, "start_at": None, "due_at": None}


def _instant(text):
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def _without(task, *names):
    return {name: value for name, value in task.items() if name not in names}


@pytest.mark.feature("P5", "H5", "M8", "P10", "T6")
async def test_a_new_task_has_what_was_sent(ann):
    """POST answers 201 with the whole task, where it is, and its first version; GET answers the same bytes."""
    before = datetime.now(UTC)
    answer = await ann.request("POST", "/tasks", json=FIELDS)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    task = answer.json()
    assert {name: task[name] for name in FIELDS} == FIELDS
    assert UUID(task["id"]).version == 7
    assert task["workspace_id"] == ann.workspace_id
    assert task["created_by"] == ann.user_id
    assert task["version"] == 1
    assert task["position"] % 1000 == 0
    assert before <= _instant(task["created_at"]) <= datetime.now(UTC)
    assert task["updated_at"] == task["status_changed_at"] == task["created_at"]
    assert task["completed_at"] is None
    assert answer.headers["location"] == f"/v1/tasks/{task['id']}"
    assert answer.headers["etag"] == '"1"'
    again = await ann.api.get(answer.headers["location"], headers=ann.authorization)
    assert (again.status_code, again.content, again.headers["etag"]) == (200, answer.content, '"1"')


async def test_a_task_needs_no_more_than_a_title(ann):
    """Everything but the title has its default."""
    task = await ann.create("t")
    assert {name: task[name] for name in DEFAULTS} == DEFAULTS


async def test_instants_are_answered_in_utc(ann):
    """An instant with an offset comes back as the same instant in UTC."""
    task = await ann.create(due_at="2027-01-01T10:00:00+01:00")
    assert task["due_at"] == "2027-01-01T09:00:00.000000Z"


async def test_a_task_can_be_created_as_done(ann):
    """A task that is completed from the start was completed when it was created."""
    task = await ann.create(status="completed")
    assert task["completed_at"] == task["created_at"]


async def test_a_member_creates_in_a_shared_workspace(ann, bob, join):
    """`workspace_id` names another workspace than one's own, and its other members see what was made there."""
    await join(ann, bob, "member")
    task = await ann.create(workspace_id=bob.workspace_id)
    assert await bob.get(task["id"]) == task
    assert (await bob.page())["items"] == [task]
    assert (await ann.page())["items"] == []
    assert (await ann.page("/me/tasks"))["items"] == [task]
    assert (await bob.page("/me/tasks"))["items"] == []


@pytest.mark.feature("T6", "T9")
async def test_new_tasks_go_past_the_last(ann):
    """Each new task stands at least 1,000 past the one before, also after one was moved to the end."""
    first, second = [await ann.create() for _ in range(2)]
    assert isinstance(first["position"], int)
    assert second["position"] - first["position"] >= 1000
    moved = (await ann.request("POST", f"/tasks/{first['id']}/move", json={"after": second["id"]})).json()
    third = await ann.create()
    assert moved["position"] - second["position"] >= 1000
    assert third["position"] - moved["position"] >= 1000


async def test_what_is_known_is_not_sent_again(ann):
    """GET with the present ETag answers 304 without a body; with an older one the task."""
    task = await ann.create()
    path = f"/tasks/{task['id']}"
    for known in ('"1"', 'W/"1"', '"7", "1"', "*"):
        answer = await ann.request("GET", path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')
    for other in ('"2"', "1", "", '"11"', "nonsense"):
        answer = await ann.request("GET", path, headers={"If-None-Match": other})
        assert (answer.status_code, answer.json()) == (200, task)


@pytest.mark.feature("P7", "H5")
@pytest.mark.parametrize("name", FIELDS)
async def test_patch_changes_one_field(ann, name):
    """PATCH sets the field that is sent and no other; the version grows and GET agrees."""
    task = await ann.create("before")
    answer = await ann.request("PATCH", f"/tasks/{task['id']}", json={name: FIELDS[name]})
    assert answer.status_code == 200
    changed = answer.json()
    assert changed[name] == FIELDS[name]
    moving = ("version", "updated_at", "status_changed_at", name)
    assert _without(changed, *moving) == _without(task, *moving)
    assert (changed["version"], answer.headers["etag"]) == (2, '"2"')
    assert _instant(changed["updated_at"]) > _instant(task["updated_at"])
    assert (changed["status_changed_at"] == task["status_changed_at"]) == (name != "status")
    assert await ann.get(task["id"]) == changed


@pytest.mark.feature("P7")
async def test_null_removes_and_absence_keeps(ann):
    """PATCH with null removes a value; a field that is not sent stays."""
    task = await ann.create(**_without(FIELDS, "title"))
    path = f"/tasks/{task['id']}"
    for name in ("description", "start_at", "due_at"):
        task = {**task, name: None}
        changed = (await ann.request("PATCH", path, json={name: None})).json()
        assert {field: changed[field] for field in FIELDS} == {field: task[field] for field in FIELDS}
    empty = (await ann.request("PATCH", path, json={"description": ""})).json()
    assert empty["description"] == ""


@pytest.mark.parametrize("name", ["title", "status", "priority"])
async def test_null_is_no_value_for_what_a_task_must_have(ann, problem, name):
    """PATCH cannot remove title, status or priority."""
    task = await ann.create()
    found = problem(await ann.request("PATCH", f"/tasks/{task['id']}", json={name: None}), 422, "validation_failed")
    assert [error["pointer"] for error in found["errors"]] == [f"/{name}"]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_change_that_changes_nothing_writes_nothing(ann, events, method):
    """Sending what the task already has (or nothing) leaves version, times and events as they were."""
    sent = {**FIELDS, "due_at": "2027-01-02T10:30:00.5+01:00"}
    task = await ann.create(**sent)
    bodies = [sent] if method == "PUT" else [{}, sent, {"priority": 1}]
    for body in bodies:
        answer = await ann.request(method, f"/tasks/{task['id']}", json=body)
        assert (answer.status_code, answer.json(), answer.headers["etag"]) == (200, task, '"1"')
    assert await ann.get(task["id"]) == task
    assert [event["type"] for event in await events(task["id"])] == ["task.created"]


@pytest.mark.feature("P9")
async def test_a_status_is_dated(ann):
    """`status_changed_at` follows every change of status, `completed_at` is set exactly while the task is completed."""
    task = await ann.create()
    for status in ("in_progress", "completed", "cancelled", "completed", "pending"):
        before, task = task, (await ann.request("PATCH", f"/tasks/{task['id']}", json={"status": status})).json()
        assert _instant(task["status_changed_at"]) > _instant(before["status_changed_at"])
        assert (task["completed_at"] is not None) == (status == "completed")
        if status == "completed":
            assert _instant(task["completed_at"]) > _instant(before["status_changed_at"])
            renamed = (await ann.request("PATCH", f"/tasks/{task['id']}", json={"title": status})).json()
            assert renamed["completed_at"] == task["completed_at"]
            assert renamed["status_changed_at"] == task["status_changed_at"]


@pytest.mark.feature("M9", "H5")
async def test_put_sets_everything(ann):
    """PUT gives what is absent its default; identity, place and origin stay."""
    task = await ann.create(**_without(FIELDS, "title"))
    answer = await ann.request("PUT", f"/tasks/{task['id']}", json={"title": "only this"})
    replaced = answer.json()
    assert answer.status_code == 200
    assert {name: replaced[name] for name in ("title", *DEFAULTS)} == {"title": "only this"} | DEFAULTS
    for name in ("id", "workspace_id", "position", "created_by", "created_at"):
        assert replaced[name] == task[name]
    assert replaced["version"] == 2
    named = {**FIELDS, "workspace_id": ann.workspace_id}
    again = (await ann.request("PUT", f"/tasks/{task['id']}", json=named)).json()
    assert {name: again[name] for name in FIELDS} == FIELDS


async def test_put_needs_a_title(ann, problem):
    """PUT makes no task without a title."""
    task = await ann.create()
    found = problem(await ann.request("PUT", f"/tasks/{task['id']}", json={}), 422, "validation_failed")
    assert [(error["pointer"], error["code"]) for error in found["errors"]] == [("/title", "missing")]


async def test_a_task_stays_in_its_workspace(ann, bob, join, problem):
    """PUT with another workspace is refused, also one that the caller may write in."""
    await join(ann, bob, "member")
    task = await ann.create()
    body = {"title": "t", "workspace_id": bob.workspace_id}
    found = problem(await ann.request("PUT", f"/tasks/{task['id']}", json=body), 422, "validation_failed")
    assert [(error["pointer"], error["code"]) for error in found["errors"]] == [
        ("/workspace_id", "workspace_immutable")
    ]
    assert await ann.get(task["id"]) == task


@pytest.mark.feature("M10", "H5")
async def test_a_deleted_task_is_gone(ann, problem):
    """DELETE answers 204 without a body; then there is nothing to read, change, move or delete."""
    task, other = await ann.create(), await ann.create()
    path = f"/tasks/{task['id']}"
    answer = await ann.request("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    problem(await ann.request("GET", path), 404, "not_found")
    problem(await ann.request("PATCH", path, json={"title": "x"}), 404, "not_found")
    problem(await ann.request("PUT", path, json={"title": "x"}), 404, "not_found")
    problem(await ann.request("POST", f"{path}/move", json={"after": other["id"]}), 404, "not_found")
    problem(await ann.request("DELETE", path), 404, "not_found")
    assert (await ann.page())["items"] == [other]


_GUARDED = {
    "PATCH": {"json": {"title": "mine"}},
    "PUT": {"json": {"title": "mine"}},
    "DELETE": {},
}


@pytest.mark.parametrize("method", _GUARDED)
@pytest.mark.parametrize("stale", ['"1"', '"3"', 'W/"2"', '"two"', '""', '"99999999999999999999"', '"-2"', '"٢"'])
async def test_a_stale_change_is_refused(ann, problem, events, method, stale):
    """If-Match with anything but the present version (strong comparison) answers 412 and changes nothing."""
    task = await ann.create()
    path = f"/tasks/{task['id']}"
    task = (await ann.request("PATCH", path, json={"priority": 9})).json()
    header = {"If-Match": stale.encode()}
    problem(await ann.request(method, path, headers=header, **_GUARDED[method]), 412, "version_mismatch")
    assert await ann.get(task["id"]) == task
    assert len(await events(task["id"])) == 2


@pytest.mark.parametrize("method", _GUARDED)
@pytest.mark.parametrize("present", ['"1"', "*"])
async def test_a_guarded_change_goes_through(ann, method, present):
    """If-Match with the present version, or with any, lets the change through."""
    task = await ann.create()
    answer = await ann.request(method, f"/tasks/{task['id']}", headers={"If-Match": present}, **_GUARDED[method])
    assert answer.status_code in {200, 204}


@pytest.mark.parametrize(
    ("stored", "change"),
    [
        ({"due_at": "2027-01-01T00:00:00Z"}, {"start_at": "2027-01-01T00:00:00.000001Z"}),
        ({"start_at": "2027-01-01T00:00:00Z"}, {"due_at": "2026-12-31T23:59:59Z"}),
    ],
)
async def test_a_task_does_not_start_after_it_is_due(ann, problem, stored, change):
    """The rule holds for the outcome: one date stored, the other changed."""
    task = await ann.create(**stored)
    path = f"/tasks/{task['id']}"
    found = problem(await ann.request("PATCH", path, json=change), 422, "validation_failed")
    assert [error["code"] for error in found["errors"]] == ["start_after_due"]
    assert await ann.get(task["id"]) == task
    for method, target in (("POST", "/tasks"), ("PUT", path)):
        answer = await ann.request(method, target, json={"title": "t", **stored, **change})
        assert [error["code"] for error in problem(answer, 422, "validation_failed")["errors"]] == ["start_after_due"]
    same = await ann.request("PATCH", path, json=dict.fromkeys(("start_at", "due_at"), "2027-01-01T00:00:00Z"))
    assert same.status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_without_a_token_nothing_is_told(api, problem, method):
    """Tasks are for the signed-in alone."""
    problem(await api.request(method, "/v1/tasks"), 401, "unauthenticated")


@pytest.mark.feature("M13")
@pytest.mark.parametrize("priority", [0, 11, -1])
async def test_the_database_itself_checks_the_priority(ann, owner, priority):
    """Priority 1 to 10 is a constraint of the table, whoever writes."""
    import asyncpg

    task = await ann.create()
    with pytest.raises(asyncpg.CheckViolationError, match="tasks_priority"):
        await owner.execute("UPDATE tasks SET priority = $2 WHERE id = $1", task["id"], priority)


@pytest.mark.feature("M18")
async def test_a_task_lies_in_the_partition_of_its_time(ann, owner):
    """A new task is found in a partition of the time of its id, not in the default one."""
    task = await ann.create()
    partition = await owner.fetchval("SELECT tableoid::regclass::text FROM tasks WHERE id = $1", task["id"])
    assert partition.startswith(f"tasks_{datetime.now(UTC).year}_")
