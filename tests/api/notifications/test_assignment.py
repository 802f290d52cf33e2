"""Assigning: who may be assigned, who hears of it, and what is written with the change."""

import jsonschema
import pytest
import referencing

from taskbell.contract.schemas.documents import event_schemas


def _validate(kind, data):
    resources = [referencing.Resource.from_contents(schema) for schema in event_schemas().values()]
    registry = referencing.Registry().with_resources([(resource.id(), resource) for resource in resources])
    draft = jsonschema.Draft202012Validator
    draft(event_schemas()[kind], registry=registry, format_checker=draft.FORMAT_CHECKER).validate(data)


@pytest.mark.feature("P8", "P11")
async def test_a_new_task_tells_its_assignees(ann, bob, cid, told):
    """Creating with assignees writes both task events and one notification, with its event, to each but the actor."""
    task = await ann.create(assignee_ids=[bob.user_id, ann.user_id, cid.user_id])
    assert task["assignee_ids"] == [bob.user_id, ann.user_id, cid.user_id]
    events = await told()
    assert [kind for kind, _, _ in events] == ["task.created", "task.assigned", *["notification.created"] * 2]
    everybody = {ann.user_id, bob.user_id, cid.user_id}
    assert [audience for _, audience, _ in events[:2]] == [everybody, everybody]
    assert events[1][2] == task | {"previous": {"assignee_ids": []}}
    assert sorted(str(audience) for _, audience, _ in events[2:]) == sorted(
        str({person.user_id}) for person in (bob, cid)
    )
    for kind, _, data in events:
        _validate(kind, data)
    (notice,) = (await bob.inbox())["items"]
    assert notice in [data for _, _, data in events[2:]]
    assert (notice["kind"], notice["title"], notice["task_id"]) == ("assigned", "A task", task["id"])
    assert (notice["actor_id"], notice["read_at"], notice["urgent"]) == (ann.user_id, None, False)
    assert (await ann.inbox())["items"] == []


@pytest.mark.feature("P8", "P11")
async def test_a_change_tells_only_who_is_new(ann, bob, cid, told):
    """Those who are newly assigned are notified; who no longer is hears the event, and nobody is notified of that."""
    task = await ann.create(assignee_ids=[bob.user_id])
    changed = await ann.patch(task, assignee_ids=[cid.user_id])
    assert changed["version"] == 2
    kind, audience, data = (await told())[3]
    assert (kind, audience) == ("task.assigned", {ann.user_id, bob.user_id, cid.user_id})
    assert data == changed | {"previous": {"assignee_ids": [bob.user_id]}}
    assert [len((await person.inbox())["items"]) for person in (ann, bob, cid)] == [0, 1, 1]
    assert (await ann.patch(task, assignee_ids=[]))["assignee_ids"] == []
    assert [kind for kind, _, _ in await told()][-1] == "task.assigned"


async def test_another_order_is_no_change(ann, bob, cid, told):
    """The same people in another order change nothing: no version, no event."""
    task = await ann.create(assignee_ids=[bob.user_id, cid.user_id])
    before = await told()
    assert await ann.patch(task, assignee_ids=[cid.user_id, bob.user_id]) == task
    assert await told() == before


async def test_replacing_without_assignees_removes_them(ann, bob):
    """PUT sets every field: absent assignees are none."""
    task = await ann.create(assignee_ids=[bob.user_id])
    answer = await ann.request("PUT", f"/tasks/{task['id']}", status=200, json={"title": "New"})
    assert answer.json()["assignee_ids"] == []


@pytest.mark.feature("M35", "M33")
async def test_only_members_can_be_assigned(ann, bob, dan, told):
    """A stranger is refused by the pointer to his place, on creation and on change, and nothing is written."""
    task = await ann.create()
    before = await told()
    sent = {"title": "t", "assignee_ids": [bob.user_id, dan.user_id]}
    for method, path in (("POST", "/tasks"), ("PATCH", f"/tasks/{task['id']}"), ("PUT", f"/tasks/{task['id']}")):
        problem = (await ann.request(method, path, status=422, json=sent)).json()
        assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [
            ("/assignee_ids/1", "assignee_not_member")
        ]
    assert await told() == before
    assert (await dan.inbox())["items"] == []


@pytest.mark.parametrize("count", [2, 51])
async def test_nobody_twice_and_not_too_many(ann, count):
    """Repeated people and more than fifty are refused before the database is asked."""
    users = [ann.user_id] * 2 if count == 2 else [f"00000000-0000-7000-8000-{n:012d}" for n in range(count)]
    problem = (await ann.request("POST", "/tasks", status=422, json={"title": "t", "assignee_ids": users})).json()
    assert [error["pointer"] for error in problem["errors"]] == ["/assignee_ids"]


async def test_a_stranger_learns_nothing_of_members(ann, bob, dan):
    """Where one is no member, the answer is that there is no such workspace, whomever one would assign."""
    for users in ([], [bob.user_id], [dan.user_id]):
        sent = {"title": "t", "workspace_id": ann.workspace_id, "assignee_ids": users}
        await dan.request("POST", "/tasks", status=404, json=sent)


async def test_who_left_keeps_a_task_and_hears_nothing(ann, bob, told):
    """A former member stays assigned until somebody changes that, is in no audience, and blocks no other change."""
    task = await ann.create(assignee_ids=[bob.user_id])
    await ann.request("DELETE", f"/workspaces/{ann.workspace_id}/members/{bob.user_id}", status=204)
    changed = await ann.patch(task, title="New", status="completed", assignee_ids=[bob.user_id])
    assert changed["assignee_ids"] == [bob.user_id]
    assert [(kind, audience) for kind, audience, _ in await told()][3:] == [
        ("task.updated", {ann.user_id}),
        ("task.status_changed", {ann.user_id}),
    ]


@pytest.mark.feature("P12")
async def test_a_new_status_tells_creator_and_assignees(ann, bob, cid, told):
    """Both are notified, who did it is not; the body says what changed."""
    task = await ann.create(assignee_ids=[bob.user_id, cid.user_id])
    await bob.patch(task, status="in_progress")
    events = await told()
    assert [kind for kind, _, _ in events[4:]] == ["task.status_changed", *["notification.created"] * 2]
    for person, count in ((ann, 1), (bob, 1), (cid, 2)):
        items = (await person.inbox())["items"]
        assert len(items) == count
        changes = [item["body"] for item in items if item["kind"] == "status_changed"]
        assert changes == ([] if person is bob else ["Status changed from pending to in_progress"])


async def test_a_single_person_is_not_told_of_their_own_doing(ann, told):
    """Who works alone gets no notifications."""
    task = await ann.create(assignee_ids=[ann.user_id])
    await ann.patch(task, status="completed")
    assert [kind for kind, _, _ in await told()] == ["task.created", "task.assigned", "task.status_changed"]


async def test_moving_and_deleting_reach_the_assignees(ann, bob, told):
    """Assignees are in the audience of every event of their task."""
    first, second = await ann.create(assignee_ids=[bob.user_id]), await ann.create()
    await ann.request("POST", f"/tasks/{first['id']}/move", status=200, json={"after": second["id"]})
    await ann.request("DELETE", f"/tasks/{first['id']}", status=204)
    audiences = {kind: audience for kind, audience, _ in await told()}
    assert audiences["task.moved"] == audiences["task.deleted"] == {ann.user_id, bob.user_id}
