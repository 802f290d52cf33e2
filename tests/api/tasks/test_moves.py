"""A moved task stands where it was asked to, whatever others do at the same time."""

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskbell.api.tasks import repository
from taskbell.api.tasks.schemas import TaskCreate
from taskbell.local import db

_ANCHORS = ("before", "after")


@pytest.fixture
def move(ann):
    """Moves a task for Ann and returns its document."""

    async def ask(task_id, **place):
        answer = await ann.request("POST", f"/tasks/{task_id}/move", json=place)
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
        return answer.json()

    return ask


async def _ids(person, **params):
    tasks = await person.everything(limits=(200,), **params)
    assert len({task["position"] for task in tasks}) == len(tasks), "equal positions"
    return [task["id"] for task in tasks]


def _insert(order, task, *, before=None, after=None):
    """The order that a list has after a move."""
    rest = [each for each in order if each != task]
    place = rest.index(before) if before else rest.index(after) + 1
    return [*rest[:place], task, *rest[place:]]


@pytest.mark.feature("T7", "T8")
async def test_a_move_takes_the_middle_and_writes_one_row(ann, move, events):
    """Between two tasks the moved one gets the position halfway; no other row is touched."""
    tasks = [await ann.create() for _ in range(4)]
    moved = await move(tasks[3]["id"], after=tasks[0]["id"])
    assert moved["position"] == (tasks[0]["position"] + tasks[1]["position"]) // 2
    assert (moved["version"], moved["title"]) == (2, tasks[3]["title"])
    assert await ann.everything() == [tasks[0], moved, tasks[1], tasks[2]]
    again = await move(tasks[2]["id"], before=tasks[0]["id"])
    assert again["position"] < tasks[0]["position"]
    assert await ann.everything() == [again, tasks[0], moved, tasks[1]]
    assert [event["type"] for event in await events()].count("task.moved") == 2


@pytest.mark.parametrize("place", ["before", "after"])
async def test_what_is_in_place_is_not_written(ann, move, events, place):
    """Asking for the place that the task already has changes no version and writes no event."""
    tasks = [await ann.create() for _ in range(3)]
    for lower, upper in itertools.pairwise(tasks):
        task, anchor = (lower, upper) if place == "before" else (upper, lower)
        assert await move(task["id"], **{place: anchor["id"]}) == task
    assert len(await events()) == 3


@pytest.mark.feature("T7", "T10")
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("create")),
            st.tuples(st.just("delete"), st.integers(0, 99)),
            st.tuples(st.just("move"), st.integers(0, 99), st.integers(0, 3), st.sampled_from(_ANCHORS)),
            st.tuples(st.just("move"), st.integers(0, 99), st.integers(0, 99), st.sampled_from(_ANCHORS)),
        ),
        min_size=10,
        max_size=50,
    )
)
async def test_the_list_is_the_one_that_was_asked_for(person, steps):
    """After any sequence of creations, moves and deletions the list has the order that a plain list would have."""
    somebody = await person()
    order = [(await somebody.create())["id"] for _ in range(4)]
    for kind, *which in steps:
        if kind == "create":
            order.append((await somebody.create())["id"])
        elif kind == "delete" and len(order) > 2:
            task = order.pop(which[0] % len(order))
            assert (await somebody.request("DELETE", f"/tasks/{task}")).status_code == 204
        elif kind == "move":
            task, anchor = order[which[0] % len(order)], order[which[1] % len(order)]
            place = {which[2]: anchor}
            answer = await somebody.request("POST", f"/tasks/{task}/move", json=place)
            assert answer.status_code == (422 if task == anchor else 200)
            if task != anchor:
                order = _insert(order, task, **place)
    assert await _ids(somebody) == order


@pytest.mark.feature("T8", "T10")
@pytest.mark.parametrize("place", _ANCHORS)
async def test_a_used_up_gap_is_made_wide_again(ann, move, events, owner, place):
    """Sixty moves to one spot end in order; neighbours move only when the gap is used up, each with its event."""
    order = [(await ann.create())["id"] for _ in range(63)]
    anchor = order[1]
    alone = 0
    for task in order[3:]:
        before = {row["id"]: row["position"] for row in await owner.fetch("SELECT id, position FROM tasks")}
        count = len(await events())
        await move(task, **{place: anchor})
        order = _insert(order, task, **{place: anchor})
        after = {row["id"]: row["position"] for row in await owner.fetch("SELECT id, position FROM tasks")}
        changed = {each for each in after if after[each] != before[each]}
        written = (await events())[count:]
        assert {event["subject_id"] for event in written} == changed
        assert len(written) == len(changed)
        alone += len(changed) == 1
    assert await _ids(ann) == order
    assert 40 <= alone < 60, "most moves write one row, and some gap was used up"


@pytest.mark.feature("T10")
async def test_a_list_without_any_gap_takes_a_move(ann, move, owner):
    """Tasks shoulder to shoulder, on positions made by hand, make room: nothing fails and the order is kept."""
    order = [(await ann.create())["id"] for _ in range(40)]
    for number, task in enumerate(order):
        await owner.execute("UPDATE tasks SET position = $2 WHERE id = $1", task, number)
    for task, anchor in ((order[0], order[20]), (order[39], order[1]), (order[5], order[39])):
        await move(task, after=anchor)
        order = _insert(order, task, after=anchor)
    await move(order[5], before=order[0])
    order = _insert(order, order[5], before=order[0])
    assert await _ids(ann) == order


async def test_both_are_named_in_the_refusal(ann, bob, join, problem):
    """A task cannot be moved next to itself or a task of another workspace; what one cannot see is not found."""
    await join(ann, bob, "member")
    mine, shared = await ann.create(), await bob.create()
    for anchor in (mine, shared):
        for place in _ANCHORS:
            answer = await ann.request("POST", f"/tasks/{mine['id']}/move", json={place: anchor["id"]})
            found = problem(answer, 422, "validation_failed")
            assert [(error["pointer"], error["code"]) for error in found["errors"]] == [
                (f"/{place}", "anchor_elsewhere")
            ]
    answer = await bob.request("POST", f"/tasks/{shared['id']}/move", json={"after": mine["id"]})
    found = problem(answer, 404, "not_found")
    assert [(error["pointer"], error["code"]) for error in found["errors"]] == [("/after", "anchor_not_found")]


@pytest.mark.parametrize("body", [{}, {"before": None}, {"before": "A", "after": "A"}, {"next_to": "A"}])
async def test_exactly_one_anchor_is_named(ann, problem, body):
    """A move says before or after which task, not both and not neither."""
    task, anchor = await ann.create(), await ann.create()
    body = {name: anchor["id"] if value else value for name, value in body.items()}
    problem(await ann.request("POST", f"/tasks/{task['id']}/move", json=body), 422, "validation_failed")


def _numbered(number):
    """A `traceparent` by which a request's events are found."""
    return f"00-{number + 1:032x}-{number + 1:016x}-00"


@pytest.mark.feature("T7", "T10")
@pytest.mark.parametrize("place", _ANCHORS)
async def test_two_hundred_moves_to_one_spot_at_once(ann, events, place):
    """No move fails, no positions are equal, and the tasks are next to the anchor in the order of the commits."""
    rest = [(await ann.create())["id"] for _ in range(6)]
    anchor = rest[2]
    movers = [(await ann.create())["id"] for _ in range(200)]

    async def go(number, task):
        return await ann.request(
            "POST", f"/tasks/{task}/move", json={place: anchor}, headers={"traceparent": _numbered(number)}
        )

    answers = await asyncio.gather(*itertools.starmap(go, enumerate(movers)))
    assert {answer.status_code for answer in answers} == {200}
    asked = {_numbered(number): task for number, task in enumerate(movers)}
    turns = dict.fromkeys(event["traceparent"] for event in await events() if event["type"] == "task.moved")
    order = rest
    for turn in turns:  # the workspace's lock is held until commit, so the events' ids tell the order of commits
        order = _insert(order, asked[turn], **{place: anchor})
    assert len(turns) == 200
    assert await _ids(ann) == order


async def test_moves_creations_and_deletions_at_once(ann):
    """Whatever happens together, every request is answered properly and no positions are equal."""
    tasks = [(await ann.create())["id"] for _ in range(30)]
    doomed, movers, anchors = tasks[:10], tasks[5:25], tasks[20:]
    work = [ann.request("DELETE", f"/tasks/{task}") for task in doomed]
    work += [
        ann.request("POST", f"/tasks/{task}/move", json={place: anchor})
        for task, anchor in itertools.product(movers, anchors[::3])
        for place in _ANCHORS
        if task != anchor
    ]
    work += [
        ann.request("POST", f"/tasks/{task}/move", json={"after": anchor})
        for task, anchor in itertools.product(anchors, doomed[::3])
    ]
    work += [ann.request("PATCH", f"/tasks/{task}", json={"priority": 1}) for task in tasks]
    work += [ann.request("POST", "/tasks", json={"title": "new"}) for _ in range(20)]
    work = [work[(number * 7) % len(work)] for number in range(len(work))] if len(work) % 7 else work
    answers = await asyncio.gather(*work)
    assert {answer.status_code for answer in answers} <= {200, 201, 204, 404}
    found = await ann.everything()
    assert len({task["position"] for task in found}) == len(found) == 40
    assert all(task["priority"] == 1 for task in found if task["id"] in tasks)


@pytest.mark.parametrize("place", _ANCHORS)
async def test_a_task_that_is_not_committed_yet_keeps_its_position(ann, move, database, place):
    """A move does not land on the position of a task that is being created and cannot be seen yet."""
    first = await ann.create()
    async with db.connected(database.api_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        named = {"actor": ann.user_id, "workspace_id": ann.workspace_id, "traceparent": None, "leads": []}
        await repository._CREATE.row(connection, **TaskCreate(title="slow").__dict__ | named)
        last = await ann.create()
        if place == "before":  # then the free looking position is the one before the first
            assert (await ann.request("DELETE", f"/tasks/{first['id']}")).status_code == 204
        moved = await ann.create()
        await move(moved["id"], before=last["id"])
        await transaction.commit()
    tasks = await ann.everything()
    assert len({task["position"] for task in tasks}) == len(tasks) == 4 - (place == "before")


async def test_a_neighbour_may_vanish_during_a_move(ann, move, owner, monkeypatch):
    """A gap is used up, and what was above it, the last of the list, is deleted meanwhile: the task goes to the end."""
    anchor, last, task = [(await ann.create())["id"] for _ in range(3)]
    for number, each in enumerate((task, anchor, last)):
        await owner.execute("UPDATE tasks SET position = $2 WHERE id = $1", each, number)
    read = repository.neighbours

    async def late(connection, **wanted):
        await owner.execute("DELETE FROM tasks WHERE id = $1", last)
        return await read(connection, **wanted)

    monkeypatch.setattr(repository, "neighbours", late)
    await move(task, after=anchor)
    assert await _ids(ann) == [anchor, task]


async def test_a_move_and_a_change_of_one_task_are_both_kept(ann):
    """Two writers of one task wait for each other: neither's change nor version is lost."""
    task, *others = [await ann.create() for _ in range(21)]
    work = [ann.request("PATCH", f"/tasks/{task['id']}", json={"title": f"t{number}"}) for number in range(20)]
    work += [ann.request("POST", f"/tasks/{task['id']}/move", json={"after": other["id"]}) for other in others]
    answers = await asyncio.gather(*work)
    assert {answer.status_code for answer in answers} == {200}
    versions = [answer.json()["version"] for answer in answers]
    assert sorted(versions) == list(range(2, 42))
