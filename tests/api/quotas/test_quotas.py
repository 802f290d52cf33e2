"""A workspace over a quota may not be changed, or may not grow; nobody else notices."""

import pytest

from taskbell.local import db


@pytest.fixture
def over(app, database):
    """Lets the relay have found a workspace over a quota."""

    async def over(workspace, *, seconds=None, full=False):
        async with db.connected(database.owner_url) as owner:
            await owner.execute(
                "INSERT INTO workspace_usage (workspace_id, measured_at, refused_until, tasks_full)"
                " VALUES ($1, now(), now() + $2 * interval '1 s', $3)"
                " ON CONFLICT (workspace_id) DO UPDATE SET refused_until = excluded.refused_until, tasks_full = $3",
                workspace,
                seconds,
                full,
            )
        await app.state.services.quotas.read()

    return over


async def _task(api, who, **fields):
    return await api.post("/v1/tasks", json={"title": "T", **fields}, headers=who.headers)


async def test_a_workspace_that_wrote_too_much_gets_a_429_until_the_time_it_names(api, sign_up, over):
    """Creating, changing, moving and testing webhooks are refused, deleting and reading are not; others go on."""
    ann, bob = await sign_up(), await sign_up()
    first, second = [(await _task(api, ann)).json()["id"] for _ in range(2)]
    hook = (await api.post("/v1/webhooks", json={"url": "https://a.example/"}, headers=ann.headers)).json()["id"]
    workspace = (await api.get(f"/v1/tasks/{first}", headers=ann.headers)).json()["workspace_id"]
    await over(workspace, seconds=60)
    refused = [
        await _task(api, ann),
        await api.patch(f"/v1/tasks/{first}", json={"title": "New"}, headers=ann.headers),
        await api.post(f"/v1/tasks/{first}/move", json={"after": second}, headers=ann.headers),
        await api.post(f"/v1/webhooks/{hook}/test", headers=ann.headers),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(429, "quota_exceeded")] * 4
    assert all(50 <= int(answer.headers["Retry-After"]) <= 60 for answer in refused)
    assert (await api.patch(f"/v1/tasks/{first}", json={"title": "T"}, headers=ann.headers)).status_code == 200
    assert (await api.delete(f"/v1/tasks/{first}", headers=ann.headers)).status_code == 204
    assert (await api.get("/v1/tasks", headers=ann.headers)).status_code == 200
    assert (await _task(api, bob)).status_code == 201
    assert (await _task(api, bob, workspace_id=workspace)).status_code == 404
    await over(workspace)
    assert (await _task(api, ann)).status_code == 201


async def test_full_tasks_may_be_changed_but_not_grow(api, sign_up, over):
    """New tasks and descriptions get a 413; what makes nothing larger goes on."""
    ann = await sign_up()
    task = (await _task(api, ann)).json()
    await over(task["workspace_id"], full=True)
    path = f"/v1/tasks/{task['id']}"
    grown = await api.patch(path, json={"description": "long"}, headers=ann.headers)
    assert [(answer.status_code, answer.json()["code"]) for answer in (await _task(api, ann), grown)] == [
        (413, "storage_full")
    ] * 2
    assert (await api.patch(path, json={"status": "completed"}, headers=ann.headers)).status_code == 200
