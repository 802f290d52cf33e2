"""Who changes a task may lose the right to while the change waits for a lock."""

import asyncio

import pytest

from taskbell.local import db

_LOST = {
    "removed": "DELETE FROM memberships WHERE user_id = $1 AND workspace_id = $2",
    "demoted": "UPDATE memberships SET role = 'viewer' WHERE user_id = $1 AND workspace_id = $2",
}
_REFUSAL = {"removed": (404, "not_found"), "demoted": (403, "forbidden")}


@pytest.fixture
async def overtaken(database, owner, ann, bob):
    """Sends Bob's request, which waits for a row, takes Bob's right away meanwhile, and returns the answer."""

    async def request(how, held, sent):
        async with db.connected(database.superuser_url) as holder, asyncio.timeout(60):
            async with holder.transaction():
                await holder.execute(held)
                sending = asyncio.create_task(sent)
                pid = await holder.fetchval("SELECT pg_backend_pid()")
                while not await owner.fetchval(_WAITING, pid):  # noqa: ASYNC110 -- PostgreSQL tells nobody who waits
                    await asyncio.sleep(0.01)
                await owner.execute(_LOST[how], bob.user_id, ann.workspace_id)
            return await sending

    return request


_WAITING = """
SELECT count(*) FROM pg_locks held JOIN pg_locks wanted USING (locktype, transactionid)
WHERE held.locktype = 'transactionid' AND held.granted AND held.pid = $1 AND NOT wanted.granted
"""


def _change(who, method, task, other):
    if method in {"comments", "remind"}:
        return who.request(
            "POST", f"/tasks/{task['id']}/{method}", json={"body": "Late"} if method == "comments" else {}
        )
    if method == "MOVE":
        return who.request("POST", f"/tasks/{task['id']}/move", json={"after": other["id"]})
    return who.request(method, f"/tasks/{task['id']}", json=None if method == "DELETE" else {"title": "Late"})


@pytest.mark.parametrize("how", _LOST)
async def test_a_change_that_waited_past_the_removal(ann, bob, join, owner, events, overtaken, problem, how):
    """It is refused or it was first: a change reads the right again after it waited; a deletion is one statement."""
    task, other = await ann.create("First"), await ann.create("Second")
    row, order = f"tasks WHERE id = '{task['id']}'", f"workspaces WHERE id = '{ann.workspace_id}'"
    for method, place in (
        ("PATCH", row),
        ("PUT", row),
        ("comments", row),
        ("remind", row),
        ("MOVE", order),
        ("DELETE", row),
    ):
        await owner.execute(
            "DELETE FROM memberships WHERE user_id = $1 AND workspace_id <> $2", bob.user_id, bob.workspace_id
        )
        await join(bob, ann, "member")
        answer = await overtaken(how, f"SELECT FROM {place} FOR NO KEY UPDATE", _change(bob, method, task, other))
        if method == "DELETE":
            assert answer.status_code == 204
            return
        problem(answer, *_REFUSAL[how])
        assert [event["type"] for event in await events(task["id"])] == ["task.created"]
        assert await ann.get(task["id"]) == task


@pytest.mark.parametrize("how", _LOST)
async def test_the_removal_comes_between_two_notifications(
    ann, bob, person, join, owner, events, overtaken, problem, how
):
    """A change whose last notification is not admitted any more is refused as a whole."""
    await join(bob, ann, "member")
    one, two = await person(), await person()
    for newcomer in (one, two):
        await join(newcomer, ann, "member")
    task = await ann.create()
    # The key of the first one's notification waits for this row; the second one's comes after the removal.
    held = f"SELECT FROM users WHERE id = '{min(one.user_id, two.user_id)}' FOR UPDATE"
    body = {"assignee_ids": [one.user_id, two.user_id]}
    answer = await overtaken(how, held, bob.request("PATCH", f"/tasks/{task['id']}", json=body))
    problem(answer, *_REFUSAL[how])
    assert [event["type"] for event in await events(task["id"])] == ["task.created"]
    assert await owner.fetchval("SELECT count(*) FROM notifications") == 0
