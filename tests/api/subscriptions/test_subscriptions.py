"""Following a task: a user's own choice, which the user alone sees."""

import pytest


def _path(task):
    return f"/tasks/{task['id']}/subscription"


@pytest.mark.feature("P12")
async def test_a_watcher_hears_until_they_stop(ann, bob):
    """Watching, muting and neither follow each other; the answer is the state, and repeating it changes nothing."""
    task = await ann.create(assignee_ids=[bob.user_id])
    nothing = {"task_id": task["id"], "state": None, "created_at": None}
    assert (await bob.request("GET", _path(task), status=200)).json() == nothing
    heard = []
    for number, state in enumerate(("watching", "watching", "muted", "watching", None, None)):
        if state is None:
            await bob.request("DELETE", _path(task), status=204)
        else:
            answer = (await bob.request("PUT", _path(task), status=200, json={"state": state})).json()
            assert answer["state"] == state
        found = (await bob.request("GET", _path(task), status=200)).json()
        assert found == nothing if state is None else answer
        await ann.patch(task, status="in_progress" if number % 2 else "pending")
        await ann.patch(task, assignee_ids=[], status="completed")
        heard.append(sum(item["kind"] == "status_changed" for item in (await bob.inbox())["items"]))
        await ann.patch(task, assignee_ids=[])
    assert heard == sorted(heard)
    assert (heard[2] == heard[1], heard[3] > heard[2], heard[5] == heard[4]) == (True, True, True)
    assert (await ann.request("GET", _path(task), status=200)).json() == nothing


async def test_a_viewer_may_watch(ann, bob, owner):
    """It changes nothing for others: who may only read may hear."""
    await owner.execute("UPDATE memberships SET role = 'viewer' WHERE user_id = $1 AND role = 'member'", bob.user_id)
    task = await ann.create()
    await bob.follow(task, "watching")
    await ann.patch(task, status="completed")
    assert [item["kind"] for item in (await bob.inbox())["items"]] == ["status_changed"]
    await bob.request("DELETE", _path(task), status=204)


@pytest.mark.feature("M33")
async def test_a_stranger_follows_nothing(ann, dan, owner):
    """Another workspace's task, a deleted one and one that never was are a 404 by every method, and leave no row."""
    task, gone = await ann.create(), await ann.create()
    await ann.follow(gone, "watching")
    await ann.request("DELETE", f"/tasks/{gone['id']}", status=204)
    for who, which in ((dan, task), (ann, gone), (ann, {"id": "00000000-0000-7000-8000-000000000000"})):
        await who.request("GET", _path(which), status=404)
        await who.request("PUT", _path(which), status=404, json={"state": "watching"})
        await who.request("DELETE", _path(which), status=404)
    assert await owner.fetchval("SELECT count(*) FROM task_subscriptions") == 0


@pytest.mark.parametrize("body", [{}, {"state": "asleep"}, {"state": None}, {"state": "muted", "for": "P1D"}])
async def test_there_are_two_states(ann, body):
    """Anything else is refused."""
    task = await ann.create()
    await ann.request("PUT", _path(task), status=422, json=body)
