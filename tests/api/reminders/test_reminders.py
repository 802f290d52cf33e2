"""Reminders by call: whom they reach, of which tasks, and how often."""

import asyncio

import pytest


def _path(task):
    return f"/tasks/{task['id']}/remind"


@pytest.mark.feature("P16")
@pytest.mark.parametrize(
    ("sent", "body", "urgent"),
    [
        (None, "Due at 2030-01-31 09:00 UTC", False),
        ({}, "Due at 2030-01-31 09:00 UTC", False),
        ({"note": "Today, please", "urgent": True}, "Today, please", True),
        ({"note": None}, "Due at 2030-01-31 09:00 UTC", False),
    ],
)
async def test_assignees_are_reminded(ann, bob, cid, told, validate_event, sent, body, urgent):
    """Each has it in the inbox, also who sends it; with the note or the due time, and urgent if it says so."""
    task = await ann.create(assignee_ids=[bob.user_id, cid.user_id], due_at="2030-01-31T09:00:00Z")
    answer = await bob.request("POST", _path(task), status=200, **({} if sent is None else {"json": sent}))
    assert answer.json() == {"notified": 2}
    for person in (bob, cid):
        item = (await person.inbox())["items"][0]
        assert (item["kind"], item["title"], item["body"], item["urgent"]) == ("reminder", "A task", body, urgent)
        assert (item["actor_id"], item["task_id"]) == (bob.user_id, task["id"])
    assert (await ann.inbox())["items"] == []
    kind, _, data = (await told())[-1]
    assert kind == "notification.created"
    validate_event(kind, data)


@pytest.mark.feature("P16")
async def test_the_creator_is_reminded_where_nobody_is_assigned(ann, bob):
    """Also when all assignees have left; who works alone reminds themselves; without a due time it says less."""
    task = await ann.create(assignee_ids=[bob.user_id])
    await ann.request("DELETE", f"/workspaces/{ann.workspace_id}/members/{bob.user_id}", status=204)
    assert await ann.remind(task) == {"notified": 1}
    assert [item["body"] for item in (await ann.inbox())["items"]] == ["Reminder"]


async def test_who_muted_the_task_is_not_reminded(ann, bob):
    """The answer says that nobody was."""
    task = await ann.create(assignee_ids=[bob.user_id])
    await bob.follow(task, "muted")
    assert await ann.remind(task) == {"notified": 0}


@pytest.mark.parametrize("status", ["completed", "cancelled"])
async def test_nobody_is_reminded_of_what_is_done(ann, status):
    """A completed or cancelled task is a 409 of its own code."""
    task = await ann.create(status=status)
    assert (await ann.request("POST", _path(task), status=409)).json()["code"] == "task_done"
    assert (await ann.inbox())["items"] == []


@pytest.mark.feature("P4", "M33")
async def test_a_viewer_and_a_stranger_remind_nobody(ann, bob, dan, owner):
    """A viewer gets a 403, a stranger a 404; a task that is gone is a 404 too."""
    task = await ann.create()
    await owner.execute("UPDATE memberships SET role = 'viewer' WHERE user_id = $1 AND role = 'member'", bob.user_id)
    await bob.request("POST", _path(task), status=403)
    await dan.request("POST", _path(task), status=404)
    await ann.request("DELETE", f"/tasks/{task['id']}", status=204)
    await ann.request("POST", _path(task), status=404)
    assert await owner.fetchval("SELECT count(*) FROM job_log") == 0


@pytest.mark.feature("M34")
async def test_three_reminders_of_a_task_within_an_hour(ann, bob, owner):
    """By all members together, also at once; then a 429 says when the first of them is an hour ago. Others go on."""
    task, other = await ann.create(assignee_ids=[bob.user_id]), await ann.create(assignee_ids=[bob.user_id])
    answers = await asyncio.gather(*(who.request("POST", _path(task)) for who in (ann, bob, ann, bob, ann)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "rate_limited"
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    await ann.remind(other)
    assert len((await bob.inbox())["items"]) == 2 + 3 + 1
    await owner.execute("UPDATE job_log SET finished_at = finished_at - interval '1 hour' WHERE job_id LIKE '%:1'")
    await ann.remind(task)
    await ann.request("POST", _path(task), status=429)


async def test_a_reminder_that_is_refused_uses_no_place(ann, owner):
    """What is not sent does not count towards the three."""
    task = await ann.create(status="completed")
    for _ in range(4):
        await ann.request("POST", _path(task), status=409)
    await ann.patch(task, status="pending")
    assert await ann.remind(task) == {"notified": 1}


async def test_a_busy_workspace_sends_no_reminder(app, ann, owner):
    """While it has written too much, reminders wait like changes."""
    task = await ann.create()
    await owner.execute(
        "INSERT INTO workspace_usage (workspace_id, measured_at, refused_until) VALUES ($1, now(), now() + '1 min')",
        ann.workspace_id,
    )
    await app.state.services.quotas.read()
    assert (await ann.request("POST", _path(task), status=429)).json()["code"] == "quota_exceeded"


@pytest.mark.parametrize("sent", [{"note": ""}, {"note": " "}, {"note": "x" * 501}, {"urgent": "yes"}, {"to": []}])
async def test_what_is_no_reminder_is_refused(ann, sent):
    """By the pointer to what is wrong."""
    task = await ann.create()
    problem = (await ann.request("POST", _path(task), status=422, json=sent)).json()
    assert [error["pointer"] for error in problem["errors"]] == [f"/{next(iter(sent))}"]
