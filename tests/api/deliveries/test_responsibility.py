"""A webhook has a responsible user; it is paused when that user no longer administers the workspace."""

import asyncio

import pytest

from joining import join
from taskbell.local import db

_URL = "https://hooks.example.com/taskbell"
_WAITING = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
async def team(api, sign_up):
    """Two owners, an admin and a member of a workspace."""
    people = {who: await sign_up(email=f"{who}@example.com", name=who) for who in ("ann", "bob", "eve", "cid")}
    made = await api.post("/v1/workspaces", json={"name": "Garden"}, headers=people["ann"].headers)
    people["garden"] = made.json()["id"]
    for who, role in (("bob", "owner"), ("eve", "admin"), ("cid", "member")):
        await join(api, people["ann"], people[who], workspace_id=people["garden"], role=role)
    return people


@pytest.fixture
def call(api, team):
    """Calls the API on behalf of a person; returns the answer."""

    async def request(who, method, path, **body):
        return await api.request(method, f"/v1{path}", json=body or None, headers=team[who].headers)

    return request


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner, who sees every row."""
    async with db.connected(database.owner_url) as connection:
        yield connection


async def test_the_webhooks_of_one_who_leaves_are_paused(team, call):
    """Made, or given another address, by an admin who is removed: off. Every owner is told once, nobody else."""
    garden = team["garden"]
    hooks = {}
    for name, who in (("made", "eve"), ("readdressed", "ann"), ("other", "ann"), ("taken over", "eve"), ("off", "eve")):
        hooks[name] = (await call(who, "POST", "/webhooks", url=_URL, workspace_id=garden)).json()["id"]
    await call("eve", "PATCH", f"/webhooks/{hooks['readdressed']}", url=_URL + "/eve")
    await call("bob", "PATCH", f"/webhooks/{hooks['taken over']}", enabled=True)
    await call("eve", "PATCH", f"/webhooks/{hooks['off']}", enabled=False)
    assert (await call("ann", "DELETE", f"/workspaces/{garden}/members/{team['eve'].user_id}")).status_code == 204
    found = {name: (await call("ann", "GET", f"/webhooks/{hook}")).json() for name, hook in hooks.items()}
    assert {name: (hook["enabled"], hook["disabled_reason"]) for name, hook in found.items()} == {
        "made": (False, "responsible_left"),
        "readdressed": (False, "responsible_left"),
        "other": (True, None),
        "taken over": (True, None),
        "off": (False, None),
    }
    for who, told in (("ann", True), ("bob", True), ("cid", False), ("eve", False)):
        inbox = (await call(who, "GET", "/notifications")).json()["items"]
        paused = [notice for notice in inbox if notice["kind"] == "webhooks_paused"]
        assert len(paused) == told
        for notice in paused:
            assert (notice["workspace_id"], notice["task_id"]) == (garden, None)
            assert notice["actor_id"] == team["eve"].user_id
            assert notice["body"] == "Switched off in Garden: 2 webhooks, because eve no longer administers it"
    again = await call("ann", "PATCH", f"/webhooks/{hooks['made']}", enabled=True)
    assert (again.json()["enabled"], again.json()["responsible_id"]) == (True, team["ann"].user_id)


async def test_one_who_leaves_leaves_no_webhook_behind(team, call, database, owner):
    """A webhook that is added or switched on waits for the departure and is refused, or is first and is paused."""
    garden = team["garden"]
    off = (await call("eve", "POST", "/webhooks", url=_URL, workspace_id=garden, enabled=False)).json()["id"]
    lock = "SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || $1::uuid, 0))"
    async with db.connected(database.owner_url) as holder, asyncio.timeout(60):
        async with holder.transaction():
            await holder.execute(lock, garden)
            adding = asyncio.gather(
                call("eve", "POST", "/webhooks", url=_URL, workspace_id=garden),
                call("eve", "PATCH", f"/webhooks/{off}", enabled=True),
            )
            while await owner.fetchval(_WAITING) < 2:  # noqa: ASYNC110 -- PostgreSQL tells nobody who waits
                await asyncio.sleep(0.01)
            await holder.execute("DELETE FROM memberships WHERE user_id = $1", team["eve"].user_id)
        assert [answer.status_code for answer in await adding] == [404, 404]
        async with holder.transaction():
            await holder.execute(lock, garden)
            await holder.execute(
                "INSERT INTO webhooks (id, workspace_id, url, event_types, secret, responsible_id)"
                " VALUES (taskbell.new_id(), $1, 'https://a.example', '{*}', 's', $2)",
                garden,
                team["bob"].user_id,
            )
            leaving = asyncio.create_task(call("bob", "DELETE", f"/workspaces/{garden}/members/{team['bob'].user_id}"))
            while not await owner.fetchval(_WAITING):  # noqa: ASYNC110 -- PostgreSQL tells nobody who waits
                await asyncio.sleep(0.01)
        assert (await leaving).status_code == 204
    rows = await owner.fetch("SELECT enabled, disabled_reason FROM webhooks ORDER BY id")
    assert [tuple(row) for row in rows] == [(False, None), (False, "responsible_left")]
