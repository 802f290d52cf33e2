"""Lists: every order and filter against a reference in Python; pages that join without a gap or a repetition."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from taskbell.api.http import paging
from taskbell.api.http.paging import PAGE_BYTES
from taskbell.api.tasks import repository
from taskbell.api.tasks.schemas import Sort

_RELAXED = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
_EPOCH = datetime(2027, 1, 1, tzinfo=UTC)
_NEVER = "9999"
_STATUSES = ("pending", "in_progress", "completed", "cancelled")
_FEW_INSTANTS = st.integers(0, 4).map(lambda days: _EPOCH + timedelta(days=days, microseconds=days))
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "priority": st.integers(1, 3),
            "status": st.sampled_from(_STATUSES),
            "due_at": st.none() | _FEW_INSTANTS,
            "created_at": _FEW_INSTANTS,
            "updated_at": _FEW_INSTANTS,
            "position": st.integers(-2, 3),
        }
    ),
    max_size=40,
)
"""Tasks with many ties, on positions too."""
_FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "status": st.lists(st.sampled_from(_STATUSES), min_size=1, max_size=4),
        "priority": st.integers(1, 4),
        "priority_min": st.integers(1, 3),
        "priority_max": st.integers(1, 3),
        "due_before": _FEW_INSTANTS.map(datetime.isoformat),
        "due_after": _FEW_INSTANTS.map(datetime.isoformat),
        "updated_since": _FEW_INSTANTS.map(datetime.isoformat),
    },
)


async def _insert(owner, person, rows, *, workspace_id=None, assignees=()):
    """Write tasks as they are given, past the API, which does not let one choose instants and positions."""
    statement = (
        "INSERT INTO tasks (workspace_id, created_by, title,"
        " assignee_ids, priority, status, due_at, created_at, updated_at, position)"
        " VALUES ($1, $2, 'Task', $3, $4, $5, $6, $7, $8, $9) RETURNING taskbell.task_document(tasks)::text"
    )
    workspace_id = workspace_id or person.workspace_id
    return [
        json.loads(await owner.fetchval(statement, workspace_id, person.user_id, sorted(assignees), *row.values()))
        for row in ({name: row[name] for name in _ORDER} for row in rows)
    ]


_ORDER = ("priority", "status", "due_at", "created_at", "updated_at", "position")


def _sorted(tasks, sort):
    """The order that a sort stands for: by the field, no due date last, ties by id in the same direction."""
    field = sort.lstrip("-")

    def key(task):
        return (_NEVER if task[field] is None else task[field], uuid.UUID(task["id"]))

    return sorted(tasks, key=key, reverse=sort.startswith("-"))


def _matches(task, filters):
    due, updated = task["due_at"], datetime.fromisoformat(task["updated_at"])
    due = None if due is None else datetime.fromisoformat(due)
    limits = {name: datetime.fromisoformat(value) for name, value in filters.items() if isinstance(value, str)}
    return (
        task["status"] in filters.get("status", _STATUSES)
        and task["priority"] == filters.get("priority", task["priority"])
        and filters.get("priority_min", 1) <= task["priority"] <= filters.get("priority_max", 10)
        and ("due_before" not in limits or (due is not None and due < limits["due_before"]))
        and ("due_after" not in limits or (due is not None and due >= limits["due_after"]))
        and ("updated_since" not in limits or updated >= limits["updated_since"])
    )


@pytest.mark.feature("M3", "M4", "M5", "P6", "H6", "H20")
@_RELAXED
@given(
    rows=_ROWS,
    filters=_FILTERS,
    limits=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    budget=st.sampled_from([2, 25]),
)
async def test_pages_joined_are_the_list(owner, person, monkeypatch, rows, filters, limits, budget):
    """For every sort, pages of any size joined are exactly the matching tasks in order, ties included.

    So they are when a page may read hardly more rows than it holds, and ends wherever it stopped.
    """
    monkeypatch.setattr(repository, "READ_PER_ITEM", budget)
    monkeypatch.setattr(repository, "_SMALLEST", 1)
    somebody = await person()
    tasks = await _insert(owner, somebody, rows)
    for sort in Sort:
        expected = _sorted([task for task in tasks if _matches(task, filters)], sort.value)
        assert await somebody.everything(sort=sort.value, limits=limits, **filters) == expected


@pytest.mark.feature("M11", "P8", "H20")
@_RELAXED
@given(
    rows=_ROWS,
    others=_ROWS,
    filters=_FILTERS,
    limits=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    budget=st.sampled_from([2, 25]),
    sort=st.sampled_from(list(Sort)),
)
async def test_my_tasks_are_those_i_created_or_do(
    owner, person, join, monkeypatch, rows, others, filters, limits, budget, sort
):
    """`me/tasks` lists what one created, is assigned to, or either, in all one's workspaces, in every order, once."""
    monkeypatch.setattr(repository, "READ_PER_ITEM", budget)
    monkeypatch.setattr(repository, "_SMALLEST", 1)
    somebody, host, stranger = await person(), await person(), await person()
    await join(somebody, host, "member")
    mine, theirs = {somebody.user_id}, {somebody.user_id, host.user_id}
    tasks = await _insert(owner, somebody, rows[::2])
    tasks += await _insert(owner, somebody, rows[1::2], assignees=mine)
    tasks += await _insert(owner, somebody, others[::3], workspace_id=host.workspace_id, assignees={host.user_id})
    tasks += await _insert(owner, host, others[1::3], assignees=theirs)
    tasks += await _insert(owner, host, others[2::3], assignees={host.user_id})
    # No member of it, not any more.
    await _insert(owner, somebody, others, workspace_id=stranger.workspace_id, assignees=mine)
    await _insert(owner, stranger, others, assignees=mine)
    created = {task["id"] for task in tasks if task["created_by"] == somebody.user_id}
    assigned = {task["id"] for task in tasks if somebody.user_id in task["assignee_ids"]}
    wanted = {"creator": created, "assignee": assigned, "any": created | assigned}
    tasks = _sorted([task for task in tasks if _matches(task, filters)], sort.value)
    for role, ids in wanted.items():
        found = await somebody.everything("/me/tasks", role=role, sort=sort.value, limits=limits, **filters)
        assert found == [task for task in tasks if task["id"] in ids]
    newest = _sorted([task for task in tasks if task["id"] in wanted["any"]], "-created_at")
    assert await somebody.everything("/me/tasks", **filters) == newest


async def test_the_list_of_an_assignee_follows_the_task(ann, bob, join, problem):
    """Who is assigned, moved, changed, unassigned or has lost the task sees so in their own list, in every order."""
    await join(bob, ann, "member")
    first, second = [await ann.create(assignee_ids=[bob.user_id, ann.user_id], priority=4) for _ in range(2)]

    async def listed(sort="position"):
        return [task["id"] for task in (await bob.page("/me/tasks", role="assignee", sort=sort))["items"]]

    async def change(**fields):
        assert (await ann.request("PATCH", f"/tasks/{first['id']}", json=fields)).status_code == 200

    assert await listed() == [first["id"], second["id"]]
    assert (await ann.request("POST", f"/tasks/{first['id']}/move", json={"after": second["id"]})).status_code == 200
    assert await listed() == [second["id"], first["id"]]
    await change(priority=1, due_at="2027-01-01T00:00:00Z")
    for sort in ("priority", "due_at", "-updated_at"):
        assert await listed(sort) == [first["id"], second["id"]]
    await change(assignee_ids=[ann.user_id])
    assert await listed() == [second["id"]]
    await change(assignee_ids=[ann.user_id, bob.user_id])
    assert await listed("-priority") == [second["id"], first["id"]]
    assert (await ann.request("DELETE", f"/tasks/{first['id']}")).status_code == 204
    assert await listed() == [second["id"]]
    assert (await ann.page("/me/tasks", role="creator"))["items"] == [await ann.get(second["id"])]
    problem(await bob.request("GET", "/me/tasks", params={"role": "boss"}), 422, "validation_failed")


@pytest.mark.feature("M6")
@_RELAXED
@given(rows=_ROWS, limit=st.integers(1, 9))
async def test_the_last_id_continues_a_list(owner, person, rows, limit):
    """`last_id` in place of the cursor gives the same pages, for every sort."""
    somebody = await person()
    tasks = await _insert(owner, somebody, rows)
    for sort in Sort:
        found = await somebody.page(sort=sort.value, limit=limit)
        pages = found["items"]
        while found["meta"]["has_more"]:
            found = await somebody.page(sort=sort.value, limit=limit, last_id=pages[-1]["id"])
            pages += found["items"]
        assert pages == _sorted(tasks, sort.value)


@pytest.mark.feature("M6")
@pytest.mark.parametrize("sort", Sort)
async def test_the_last_task_may_be_gone(ann, owner, sort):
    """After the last task of a page was deleted, both its id and the cursor continue where it stood."""
    rows = [
        {
            "priority": 1 + number % 3,
            "status": "pending",
            "due_at": None if number % 3 else _EPOCH,
            "created_at": _EPOCH,
            "updated_at": _EPOCH,
            "position": number // 2,
        }
        for number in range(12)
    ]
    tasks = _sorted(await _insert(owner, ann, rows), sort.value)
    found = await ann.page(sort=sort.value, limit=5)
    assert (await ann.request("DELETE", f"/tasks/{tasks[4]['id']}")).status_code == 204
    assert (await ann.page(sort=sort.value, last_id=tasks[4]["id"]))["items"] == tasks[5:]
    assert (await ann.page(sort=sort.value, cursor=found["meta"]["next_cursor"]))["items"] == tasks[5:]


async def test_the_last_task_may_have_changed(ann):
    """A cursor goes on from where the task stood on the page; `last_id`, from where it stands now."""
    tasks = [await ann.create(priority=priority) for priority in (1, 2, 3, 4, 5)]
    found = await ann.page(sort="priority", limit=2)
    moved = (await ann.request("PATCH", f"/tasks/{tasks[1]['id']}", json={"priority": 4})).json()
    following = await ann.page(sort="priority", cursor=found["meta"]["next_cursor"])
    assert following["items"] == _sorted([*tasks[2:], moved], "priority")
    assert (await ann.page(sort="priority", last_id=moved["id"]))["items"] == [
        task for task in tasks[3:] if (task["priority"], task["id"]) > (4, moved["id"])
    ]


@pytest.mark.feature("M6")
@_RELAXED
@given(
    rows=_ROWS.filter(lambda rows: len(rows) > 5),
    sort=st.sampled_from([sort.value for sort in Sort]),
    limit=st.integers(1, 5),
    data=st.data(),
)
async def test_what_stays_is_seen_once(owner, person, rows, sort, limit, data):
    """While tasks come and go between two pages, each that is there from first to last is on exactly one page."""
    somebody = await person()
    tasks = await _insert(owner, somebody, rows)
    alive, born, seen, cursor = {task["id"] for task in tasks}, [], [], None
    for _ in range(3 * len(rows)):
        found = await somebody.page(sort=sort, limit=limit, **({"cursor": cursor} if cursor else {}))
        seen += [task["id"] for task in found["items"]]
        cursor = found["meta"]["next_cursor"]
        if cursor is None:
            break
        gone = data.draw(st.sampled_from(sorted(alive)), label="gone") if alive and data.draw(st.booleans()) else None
        if gone:
            assert (await somebody.request("DELETE", f"/tasks/{gone}")).status_code == 204
            alive.discard(gone)
        if len(born) < 10 and data.draw(st.booleans(), label="another"):
            born += await _insert(owner, somebody, [data.draw(st.sampled_from(rows))])
    assert cursor is None
    assert len(seen) == len(set(seen))
    assert alive <= set(seen) <= {task["id"] for task in (*tasks, *born)}
    assert [each for each in seen if each in alive] == [
        task["id"] for task in _sorted(tasks, sort) if task["id"] in alive
    ]


@pytest.mark.feature("M5")
async def test_sort_by_priority_is_a_synonym(ann, problem):
    """`sort_by_priority=true` is `sort=priority`, cursors included; an explicit sort has precedence."""
    for priority in (3, 1, 2):
        await ann.create(priority=priority)
    found = await ann.page(sort_by_priority=True, limit=1)
    assert [task["priority"] for task in found["items"]] == [1]
    rest = await ann.page(sort="priority", cursor=found["meta"]["next_cursor"])
    assert [task["priority"] for task in rest["items"]] == [2, 3]
    assert await ann.page(sort_by_priority=False) == await ann.page(sort="position") == await ann.page()
    chosen = await ann.page(sort_by_priority=True, sort="-priority")
    assert [task["priority"] for task in chosen["items"]] == [3, 2, 1]


@pytest.mark.feature("M7", "H8")
async def test_a_page_is_bounded(ann, owner, problem):
    """100 items unless asked otherwise, 1,000 at most, whatever the list holds; a larger limit is refused."""
    await owner.execute(
        "INSERT INTO tasks (workspace_id, created_by, title) SELECT $1, $2, 'Task' FROM generate_series(1, 1001)",
        ann.workspace_id,
        ann.user_id,
    )
    for path in ("/tasks", "/me/tasks"):
        found = await ann.page(path)
        assert (len(found["items"]), found["meta"]["limit"], found["meta"]["has_more"]) == (100, 100, True)
        assert len((await ann.page(path, limit=1000))["items"]) == 1000
        for limit in (1001, 2**30, 2**63, 10**30, 0, -1):
            answer = await ann.request("GET", path, params={"limit": limit})
            told = problem(answer, 422, "validation_failed")["errors"]
            assert [error["pointer"] for error in told] == ["?limit"]


@pytest.mark.feature("H8")
@pytest.mark.parametrize("text", ["\u0001", "\U0001f514"], ids=ascii)
async def test_a_page_is_bounded_in_bytes(ann, owner, text):
    """Pages of long descriptions end early, with a cursor; joined they are the list, and none is larger than 1 MiB."""
    await owner.execute(
        "INSERT INTO tasks (workspace_id, created_by, title, description, assignee_ids)"
        " SELECT $1, $2, repeat($3, 255), repeat($3, 20000), array_fill(gen_random_uuid(), ARRAY[50])"
        " FROM generate_series(1, 120)",
        ann.workspace_id,
        ann.user_id,
        text,
    )
    for filters in ({}, {"sort": "-due_at", "priority_min": 3}):
        seen, cursor = [], ""
        while cursor is not None:
            params = {"limit": 1000, **filters, **({"cursor": cursor} if cursor else {})}
            answer = await ann.request("GET", "/tasks", params=params)
            assert len(answer.content) <= PAGE_BYTES + 1000
            found = answer.json()
            assert found["items"]
            seen += [task["id"] for task in found["items"]]
            cursor = found["meta"]["next_cursor"]
        assert len(set(seen)) == len(seen) == 120


@pytest.mark.parametrize("heavy", range(4))
async def test_a_task_heavier_than_its_share_of_the_page_is_on_it(ann, owner, heavy):
    """Wherever a long description stands among short ones, no task of the page is left out, and pages follow on."""
    tasks = [await ann.create() for _ in range(4)]
    long = "\U0001f514" * 20_000
    await owner.execute("UPDATE tasks SET description = $2 WHERE id = $1", tasks[heavy]["id"], long)
    tasks[heavy]["description"] = long
    for limit in (3, 50):
        page = await ann.page(limit=limit)
        assert page["items"] == tasks[:limit]
        assert (page["meta"]["next_cursor"] is not None) == (limit == 3)


async def test_a_document_larger_than_a_page_is_a_page(monkeypatch, ann):
    """One item at least is on each page, however large it is."""
    monkeypatch.setattr(paging, "PAGE_BYTES", 10)
    tasks = [await ann.create() for _ in range(3)]
    assert [len((await ann.page(limit=limit))["items"]) for limit in (1, 3, 1000)] == [1, 1, 1]
    assert await ann.everything() == tasks


@pytest.mark.feature("H6")
async def test_the_envelope_is_typed(app):
    """The OpenAPI document says what a page is: items of `Task` and `meta` with three members."""
    schemas = app.openapi()["components"]["schemas"]
    assert schemas["TaskPage"]["properties"]["items"]["items"]["$ref"].endswith("/Task")
    meta = schemas[schemas["TaskPage"]["properties"]["meta"]["$ref"].rpartition("/")[2]]
    assert set(meta["properties"]) == {"limit", "has_more", "next_cursor"}


async def _cursor(person, path="/tasks", **params):
    found = await person.page(path, limit=1, **params)
    assert found["meta"]["next_cursor"]
    return found["meta"]["next_cursor"]


@pytest.fixture
async def listed(ann, bob, join):
    """Ann with some tasks that have a due date, in two workspaces."""
    await join(ann, bob, "member")
    for workspace_id in (ann.workspace_id, bob.workspace_id):
        for _ in range(2):
            await ann.create(workspace_id=workspace_id, due_at="2027-01-01T00:00:00Z")
    await bob.create()
    return ann


@pytest.mark.parametrize(
    "other",
    [
        {"sort": "-position"},
        {"sort": "due_at"},
        {"status": "pending"},
        {"status": ["pending", "completed"]},
        {"priority": 5},
        {"priority_min": 5},
        {"priority_max": 5},
        {"due_before": "2027-01-02T00:00:00Z"},
        {"due_after": "2027-01-01T00:00:00Z"},
        {"updated_since": "2020-01-01T00:00:00Z"},
        {"workspace_id": "another"},
        {"path": "/me/tasks"},
    ],
    ids=str,
)
async def test_a_cursor_belongs_to_its_list(listed, bob, problem, other):
    """With another sort, filter, workspace or list a cursor is refused, both ways; with the same it is good."""
    if "workspace_id" in other:
        other = {"workspace_id": bob.workspace_id}
    params = [("/tasks", {}), (other.pop("path", "/tasks"), other)]
    cursors = [await _cursor(listed, path, **filters) for path, filters in params]
    for (path, filters), (own, foreign) in zip(params, [cursors, cursors[::-1]], strict=True):
        assert len((await listed.page(path, cursor=own, **filters))["items"]) >= 1
        answer = await listed.request("GET", path, params={"cursor": foreign, **filters})
        problem(answer, 400, "invalid_cursor")


async def test_the_limit_may_change_between_pages(ann):
    """A cursor is not bound to the size of the page it came from."""
    tasks = [await ann.create() for _ in range(4)]
    cursor = await _cursor(ann)
    assert (await ann.page(cursor=cursor, limit=2))["items"] == tasks[1:3]


async def test_a_cursor_of_another_user_is_foreign(ann, bob, problem):
    """A cursor carries no rights: another user cannot continue with it."""
    for person in (ann, bob):
        for _ in range(2):
            await person.create()
    for path in ("/tasks", "/me/tasks"):
        answer = await bob.request("GET", path, params={"cursor": await _cursor(ann, path)})
        problem(answer, 400, "invalid_cursor")


async def test_an_unknown_last_id_is_told(ann, bob, problem):
    """An id of which nothing is known, or that is not one's own, is no place in a list."""
    for last_id in (uuid.uuid4(), (await bob.create())["id"]):
        problem(await ann.request("GET", "/tasks", params={"last_id": last_id}), 400, "invalid_cursor")
    problem(await ann.request("GET", "/tasks", params={"last_id": "7"}), 422, "validation_failed")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 200), letter=st.sampled_from("Aa0-_=.\x00é"))
async def test_a_tampered_cursor_is_refused_or_harmless(ann, problem, place, letter):
    """Whatever is done to a cursor: an `invalid_cursor`, or a page of the same list, never an error of the server."""
    if not (await ann.page())["items"]:
        for _ in range(3):
            await ann.create()
    cursor = await _cursor(ann)
    place %= len(cursor)
    tampered = cursor[:place] + letter + cursor[place + 1 :]
    assume(tampered != cursor)
    answer = await ann.request("GET", "/tasks", params={"cursor": tampered})
    if answer.status_code == 200:
        assert {task["workspace_id"] for task in answer.json()["items"]} <= {ann.workspace_id}
    else:
        problem(answer, 400, "invalid_cursor")


async def test_lists_are_read_while_others_write(ann):
    """Pages read while tasks are created, changed and moved hold no task twice when sorted by an unchanging key."""
    tasks = [await ann.create() for _ in range(30)]

    async def write():
        for task in tasks[::3]:
            await ann.create()
            await ann.request("PATCH", f"/tasks/{task['id']}", json={"priority": 9})
            await ann.request("POST", f"/tasks/{task['id']}/move", json={"before": tasks[1]["id"]})

    async def read():
        for limit in (1, 3, 7):
            found = [task["id"] for task in await ann.everything(sort="created_at", limits=(limit,))]
            assert len(set(found)) == len(found)
            assert found[: len(tasks)] == [task["id"] for task in tasks]

    await asyncio.gather(write(), read())
