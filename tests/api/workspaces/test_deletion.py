"""A deleted workspace is hidden from everybody at once; its owners restore it for 30 days, with all that it had."""

import asyncio
import json
from datetime import datetime, timedelta

import asyncpg
import pytest

from joining import join
from taskbell.local import db

NOT_FOUND = (404, "not_found")


@pytest.fixture
async def owner(database):
    """A connection that sees everything."""
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


class Garden:
    """A workspace of `ann` with a task, and `bob` as a member."""

    def __init__(self, api, ann, bob, workspace_id):
        self._api, self.ann, self.bob, self.id = api, ann, bob, workspace_id
        self.path = f"/v1/workspaces/{workspace_id}"

    async def ask(self, method, path, *, by, **body):
        """A call, as a person."""
        return await self._api.request(method, path, headers=by.headers, **body)

    async def delete(self, *, by=None):
        """The call that deletes it."""
        return await self.ask("DELETE", self.path, by=by or self.ann)

    async def restore(self, *, by=None):
        """The call that restores it."""
        return await self.ask("POST", f"{self.path}/restore", by=by or self.ann)

    async def add_task(self, title, *, by=None, **fields):
        """The call that creates a task."""
        body = {"title": title, "workspace_id": self.id, **fields}
        return await self.ask("POST", "/v1/tasks", by=by or self.ann, json=body)

    async def deleted(self, *, by):
        """What a person may restore."""
        return (await self.ask("GET", "/v1/workspaces/deleted", by=by)).json()["items"]

    async def seen(self, *, by):
        """Whatever a person sees of it, one way or another."""
        calls = {
            "workspace": self.path,
            "members": f"{self.path}/members",
            "invitations": f"{self.path}/invitations",
            "bots": f"{self.path}/bots",
            "tasks": f"/v1/tasks?workspace_id={self.id}",
            "report": f"/v1/reports/throughput?workspace_id={self.id}",
            "events": f"/v1/events?workspace_id={self.id}",
            "webhooks": f"/v1/webhooks?workspace_id={self.id}",
            "own tasks": "/v1/me/tasks",
            "workspaces": "/v1/workspaces",
            "inbox": "/v1/notifications",
        }
        answers = {name: await self.ask("GET", path, by=by) for name, path in calls.items()}
        return {
            name
            for name, answer in answers.items()
            if answer.status_code == 200 and (self.id in answer.text or name in {"report", "members"})
        }


@pytest.fixture
async def garden(api, sign_up):
    """The workspace, its task assigned to the member, who is notified of it."""
    ann, bob = await sign_up(), await sign_up()
    made = (await api.post("/v1/workspaces", json={"name": "Garden"}, headers=ann.headers)).json()
    await join(api, ann, bob, workspace_id=made["id"])
    garden = Garden(api, ann, bob, made["id"])
    assert (await garden.add_task("Dig", assignee_ids=[bob.user_id])).status_code == 201
    return garden


def _told(answer):
    return answer.status_code, answer.json()["code"]


@pytest.mark.feature("M33")
async def test_it_is_hidden_from_everybody_and_comes_back(garden):
    """Nothing shows it to its owner, nor to a member, not even the inbox; restored, it is as it was."""
    task = (await garden.ask("GET", f"/v1/tasks?workspace_id={garden.id}", by=garden.ann)).json()["items"][0]
    before = {who.user_id: await garden.seen(by=who) for who in (garden.ann, garden.bob)}
    members = (await garden.ask("GET", f"{garden.path}/members", by=garden.ann)).json()
    assert {"workspace", "tasks", "report", "inbox", "own tasks"} <= before[garden.bob.user_id]
    assert (await garden.delete()).status_code == 204
    for who in (garden.ann, garden.bob):
        assert await garden.seen(by=who) == set()
        assert _told(await garden.add_task("More", by=who)) == NOT_FOUND
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/move")):
            body = {"json": {"title": "T"}} if method == "PATCH" else {"json": {"after": task["id"]}} if path else {}
            refused = await garden.ask(method, f"/v1/tasks/{task['id']}{path}", by=who, **body)
            assert refused.status_code in {404, 422}
    assert (await garden.restore()).json()["name"] == "Garden"
    assert {who.user_id: await garden.seen(by=who) for who in (garden.ann, garden.bob)} == before
    assert (await garden.ask("GET", f"{garden.path}/members", by=garden.ann)).json() == members
    assert (await garden.ask("GET", f"/v1/tasks/{task['id']}", by=garden.bob)).json() == task
    assert (await garden.add_task("More", by=garden.bob)).status_code == 201


async def test_owners_see_until_when_they_can_restore_it(garden, owner):
    """For 30 days, which owners alone see; afterwards it is as if it were gone."""
    await garden.delete()
    (found,) = await garden.deleted(by=garden.ann)
    assert (found["id"], found["name"]) == (garden.id, "Garden")
    times = [datetime.fromisoformat(found[name]) for name in ("deleted_at", "restorable_until")]
    assert abs(times[1] - times[0] - timedelta(days=30)) < timedelta(seconds=1)
    assert await garden.deleted(by=garden.bob) == []
    await owner.execute("UPDATE workspaces SET restorable_until = clock_timestamp() WHERE deleted_at IS NOT NULL")
    assert await garden.deleted(by=garden.ann) == []
    assert _told(await garden.restore()) == NOT_FOUND


async def test_the_events_tell_the_members(garden, owner):
    """One event each, to all members: with the deadline, and when it is back."""
    await garden.delete()
    await garden.restore()
    rows = await owner.fetch("SELECT * FROM events WHERE type LIKE 'workspace.%' ORDER BY id")
    assert [row["type"] for row in rows] == ["workspace.deleted", "workspace.restored"]
    for row in rows:
        assert {str(user) for user in row["audience"]} == {garden.ann.user_id, garden.bob.user_id}
        assert (str(row["subject_id"]), str(row["actor_id"])) == (garden.id, garden.ann.user_id)
        assert json.loads(row["data"])["id"] == garden.id


@pytest.mark.feature("P4")
@pytest.mark.parametrize("role", ["admin", "member", "viewer", None])
async def test_only_owners_delete_and_restore(garden, api, sign_up, role):
    """Others are refused; of a deleted workspace nobody but its owners learns even that."""
    other = await sign_up()
    if role is not None:
        await join(api, garden.ann, other, workspace_id=garden.id, role=role)
    refused = NOT_FOUND if role is None else (403, "forbidden")
    assert _told(await garden.delete(by=other)) == refused
    assert _told(await garden.restore(by=other)) == refused
    await garden.delete()
    assert _told(await garden.delete(by=other)) == NOT_FOUND
    assert _told(await garden.restore(by=other)) == NOT_FOUND
    assert (await garden.restore()).status_code == 200


async def test_a_personal_workspace_stays(garden, api, owner):
    """Its user cannot delete it, nor can another owner of it."""
    path = f"/v1/workspaces/{garden.ann.workspace_id}"
    await join(api, garden.ann, garden.bob, workspace_id=garden.ann.workspace_id, role="owner")
    for who in (garden.ann, garden.bob):
        assert _told(await garden.ask("DELETE", path, by=who)) == (409, "conflict")


async def test_deleting_and_restoring_at_once(garden, owner):
    """Of many deletions one succeeds; of many restorations all find it restored, by one of them."""
    deletions = await asyncio.gather(*(garden.delete() for _ in range(6)))
    assert sorted(answer.status_code for answer in deletions) == [204] + [404] * 5
    restorations = await asyncio.gather(*(garden.restore() for _ in range(6)))
    assert [answer.status_code for answer in restorations] == [200] * 6
    counts = await owner.fetch("SELECT type, count(*) FROM events WHERE type LIKE 'workspace.%' GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in counts] == [("workspace.deleted", 1), ("workspace.restored", 1)]
    assert await owner.fetchval("SELECT count(*) FROM suspended_memberships") == 0


async def test_tasks_that_are_created_meanwhile(garden):
    """Each is created or refused as not found; what was created is there after the restoration."""
    titles = [f"T{number}" for number in range(20)]
    *answers, deleted = await asyncio.gather(
        *(garden.add_task(title, by=garden.bob) for title in titles), garden.delete()
    )
    assert deleted.status_code == 204
    assert {answer.status_code for answer in answers} <= {201, 404}
    assert await garden.seen(by=garden.bob) == set()
    await garden.restore()
    listed = (await garden.ask("GET", f"/v1/tasks?workspace_id={garden.id}", by=garden.bob)).json()["items"]
    made = {answer.json()["title"] for answer in answers if answer.status_code == 201}
    assert {task["title"] for task in listed} == made | {"Dig"}


async def test_who_joins_meanwhile_does_not_see_it(garden, api, sign_up, owner):
    """An invitation is accepted before the deletion, or not before the restoration; no membership is left over."""
    guest = await sign_up()
    body = {"email": guest.email, "role": "member"}
    invitation = (await garden.ask("POST", f"{garden.path}/members", by=garden.ann, json=body)).json()["id"]
    accept = f"/v1/invitations/{invitation}/accept"
    accepted, deleted = await asyncio.gather(garden.ask("POST", accept, by=guest), garden.delete())
    assert accepted.status_code in {200, 404}
    assert deleted.status_code == 204
    assert await owner.fetchval("SELECT count(*) FROM memberships WHERE workspace_id = $1", garden.id) == 0
    assert (await garden.ask("POST", accept, by=guest)).status_code == 404
    await garden.restore()
    await garden.ask("POST", accept, by=guest)  # unless it was accepted, though the answer found the workspace gone
    assert len((await garden.ask("GET", f"{garden.path}/members", by=guest)).json()["items"]) == 3


async def test_a_former_member_does_not_come_back(garden):
    """Who was removed before the deletion is no member after the restoration."""
    await garden.ask("DELETE", f"{garden.path}/members/{garden.bob.user_id}", by=garden.ann)
    await garden.delete()
    await garden.restore()
    assert (await garden.ask("GET", garden.path, by=garden.bob)).status_code == 404


async def test_a_deleted_account_does_not_come_back_with_it(garden, owner):
    """A member who deleted their account meanwhile is not restored; without an owner nobody restores it."""
    await garden.delete()
    body = {"json": {"password": garden.bob.password}}
    assert (await garden.ask("POST", "/v1/me/delete", by=garden.bob, **body)).status_code == 204
    assert (await garden.restore()).status_code == 200
    assert await owner.fetchval("SELECT count(*) FROM memberships WHERE workspace_id = $1", garden.id) == 1
    await garden.delete()
    body = {"json": {"password": garden.ann.password}}
    assert (await garden.ask("POST", "/v1/me/delete", by=garden.ann, **body)).status_code == 204
    assert await owner.fetchval("SELECT count(*) FROM suspended_memberships") == 0


class TestBounds:
    """A user has three workspaces at most."""

    @pytest.fixture
    def overrides(self):
        """A small bound."""
        return {"workspaces_per_user": 3}

    async def test_deleting_makes_no_room(self, garden):
        """Deleted workspaces count until they are erased: else they could be made without end."""
        body = {"json": {"name": "W"}}
        assert (await garden.ask("POST", "/v1/workspaces", by=garden.ann, **body)).status_code == 201
        await garden.delete()
        assert _told(await garden.ask("POST", "/v1/workspaces", by=garden.ann, **body)) == (409, "limit_reached")
        assert (await garden.restore()).status_code == 200


async def test_the_database_gives_its_founder_no_way_back(database, garden):
    """Under the API's role no statement finds the workspace or makes its founder a member again."""
    await garden.delete()
    async with db.connected(database.api_url) as connection:
        await connection.execute("SELECT set_config('taskbell.actor', $1, false)", garden.ann.user_id)
        assert await connection.fetch("SELECT FROM workspaces WHERE id = $1", garden.id) == []
        for statement in (
            "INSERT INTO memberships (user_id, workspace_id, role) VALUES (taskbell.actor(), $1, 'owner')",
            "UPDATE workspaces SET deleted_at = NULL WHERE id = $1",
            "DELETE FROM suspended_memberships WHERE workspace_id = $1",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement, garden.id)
