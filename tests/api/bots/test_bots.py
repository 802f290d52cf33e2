"""Bots: users of one workspace who sign in by tokens alone."""

import asyncio
import dataclasses
from uuid import UUID, uuid4

import pytest

from joining import join
from taskbell.contract.scopes import Scope
from taskbell.local import db


@dataclasses.dataclass
class Team:
    """A workspace that Ann owns, with the path of its bots; Bob is a stranger."""

    workspace: str
    ann: object
    bob: object

    @property
    def path(self):
        """The path of the workspace's bots."""
        return f"/v1/workspaces/{self.workspace}/bots"


@pytest.fixture
def overrides():
    """Small workspaces."""
    return {"members_per_workspace": 4}


@pytest.fixture
async def team(sign_up):
    """A workspace and two people."""
    ann, bob = await sign_up(), await sign_up()
    return Team(workspace=ann.workspace_id, ann=ann, bob=bob)


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.fixture
def make_bot(api, team):
    """Makes a bot of the workspace with a token; returns its document and the token's header."""

    async def make(*scopes, name="Deploy bot", role="member"):
        bot = await api.post(team.path, json={"name": name, "role": role}, headers=team.ann.headers)
        assert bot.status_code == 201, bot.text
        body = {"name": "Program", "scopes": list(scopes) or ["tasks:write"]}
        token = await api.post(f"{team.path}/{bot.json()['id']}/tokens", json=body, headers=team.ann.headers)
        assert (token.status_code, token.headers["cache-control"]) == (201, "no-store"), token.text
        return bot.json(), {"Authorization": f"Bearer {token.json()['token']}"}

    return make


async def test_a_bot_works_in_its_workspace(api, team, make_bot, owner):
    """Its tasks are in the workspace and in its own name; it is a member like others, and the event tells of it."""
    bot, headers = await make_bot()
    assert (bot["name"], bot["role"]) == ("Deploy bot", "member")
    task = await api.post("/v1/tasks", json={"title": "Roll out"}, headers=headers)
    assert (task.status_code, task.json()["created_by"]) == (201, bot["id"])
    assert task.json()["workspace_id"] == team.workspace
    members = await api.get(f"/v1/workspaces/{team.workspace}/members", headers=team.ann.headers)
    told = {member["user_id"]: member["is_bot"] for member in members.json()["items"]}
    assert told == {team.ann.user_id: False, bot["id"]: True}
    assert (await api.get(team.path, headers=team.ann.headers)).json()["items"] == [bot]
    event = await owner.fetchrow("SELECT actor_id, audience FROM events WHERE type = 'member.added'")
    assert (str(event["actor_id"]), [str(user) for user in event["audience"]]) == (team.ann.user_id, [bot["id"]])


@pytest.mark.parametrize("role", ["viewer", "member"])
async def test_a_bot_has_its_role(api, team, make_bot, role):
    """A viewer reads, and no bot sees any other workspace."""
    _, headers = await make_bot(role=role)
    made = await api.post("/v1/tasks", json={"title": "Roll out"}, headers=headers)
    assert made.status_code == (201 if role == "member" else 403)
    assert (await api.get("/v1/tasks", headers=headers)).status_code == 200
    foreign = await api.get("/v1/tasks", params={"workspace_id": team.bob.workspace_id}, headers=headers)
    assert foreign.status_code == 404


async def test_what_a_deleted_bot_made_keeps_its_name(api, team, make_bot, owner):
    """With the bot end its tokens and its membership; its tasks stay, and so does the name of who made them."""
    bot, headers = await make_bot()
    task = (await api.post("/v1/tasks", json={"title": "Roll out"}, headers=headers)).json()
    path = f"{team.path}/{bot['id']}"
    assert (await api.delete(path, headers=team.ann.headers)).status_code == 204
    assert await owner.fetchval("SELECT count(*) FROM personal_tokens") == 0
    assert (await api.get(f"/v1/tasks/{task['id']}", headers=team.ann.headers)).json()["created_by"] == bot["id"]
    assert await owner.fetchval("SELECT name FROM users WHERE id = $1", UUID(bot["id"])) == "Deploy bot"
    assert (await api.get(team.path, headers=team.ann.headers)).json()["items"] == []
    assert (await api.delete(path, headers=team.ann.headers)).status_code == 404
    more = await api.post(f"{path}/tokens", json={"name": "P", "scopes": ["tasks:read"]}, headers=team.ann.headers)
    assert more.status_code == 404


async def test_a_bot_that_is_removed_as_a_member_does_not_sign_in(app, api, team, make_bot, owner):
    """Whichever way it goes, its tokens are worth nothing, for requests as for connections to the gateway."""
    bot, headers = await make_bot("tasks:write", "profile:read")
    path = f"/v1/workspaces/{team.workspace}/members/{bot['id']}"
    assert (await api.delete(path, headers=team.ann.headers)).status_code == 204
    assert (await api.get("/v1/me", headers=headers)).status_code == 401
    token_id = await owner.fetchval("SELECT id FROM personal_tokens")
    assert await owner.fetch("SELECT taskbell.live_personal_tokens($1)", [token_id]) == []


async def test_a_bot_does_not_sign_in_by_password(api, make_bot, owner):
    """Its address opens no session, and PostgreSQL keeps a password out."""
    bot, _ = await make_bot()
    email = await owner.fetchval("SELECT email FROM users WHERE id = $1", UUID(bot["id"]))
    answer = await api.post("/v1/auth/login", json={"username": email, "password": "correct horse battery staple"})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    with pytest.raises(Exception, match="users_bot"):
        await owner.execute("UPDATE users SET password_hash = 'x' WHERE bot_of IS NOT NULL")


@pytest.mark.parametrize("scope", ["workspaces:write", "notifications:write", "profile:write"])
async def test_some_scopes_are_not_for_bots(api, team, make_bot, scope):
    """No bot joins workspaces, or registers a device, a mailbox or a chat: so nothing is ever sent to one."""
    bot, _ = await make_bot()
    body = {"name": "Program", "scopes": ["tasks:read", scope]}
    answer = await api.post(f"{team.path}/{bot['id']}/tokens", json=body, headers=team.ann.headers)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "not_for_bots")


async def test_a_bot_is_no_way_to_another_one(api, team, make_bot):
    """An admin bot with every scope that a bot can have makes neither bots nor tokens, not even of itself."""
    allowed = [scope for scope in Scope if scope not in {"workspaces:write", "notifications:write", "profile:write"}]
    bot, headers = await make_bot(*allowed, role="admin")
    body = {"name": "Program", "scopes": ["tasks:read"]}
    for path, sent in ((team.path, {"name": "Child"}), (f"{team.path}/{bot['id']}/tokens", body), ("/v1/tokens", body)):
        answer = await api.post(path, json=sent, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "session_required"), path
    assert (await api.post(team.path, json={"name": "B", "role": "owner"}, headers=team.ann.headers)).status_code == 422


async def test_administrators_alone_look_after_bots(api, team, make_bot):
    """A member gets 403 and a stranger 404 from every operation, and nothing changes."""
    bot, headers = await make_bot()
    await join(api, team.ann, team.bob, workspace_id=team.workspace)
    stranger, member = {"Authorization": headers["Authorization"]}, team.bob.headers
    token = {"name": "Program", "scopes": ["tasks:read"]}
    calls = [
        ("POST", team.path, {"name": "Mine"}),
        ("GET", team.path, None),
        ("DELETE", f"{team.path}/{bot['id']}", None),
        ("POST", f"{team.path}/{bot['id']}/tokens", token),
        ("GET", f"{team.path}/{bot['id']}/tokens", None),
        ("DELETE", f"{team.path}/{bot['id']}/tokens/{uuid4()}", None),
    ]
    for method, path, body in calls:
        answer = await api.request(method, path, json=body, headers=member)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)
        elsewhere = path.replace(team.workspace, str(uuid4()))
        assert (await api.request(method, elsewhere, json=body, headers=team.ann.headers)).status_code == 404
    assert (await api.get("/v1/tasks", headers=stranger)).status_code == 200


async def test_a_bot_of_another_workspace_is_as_good_as_none(api, team, make_bot, sign_up):
    """Who administers one workspace makes no token of the bot of another, and does not see or delete one."""
    bot, headers = await make_bot()
    path = f"/v1/workspaces/{team.bob.workspace_id}/bots/{bot['id']}"
    body = {"name": "Program", "scopes": ["tasks:read"]}
    for method, rest, sent in (("POST", "/tokens", body), ("GET", "/tokens", None), ("DELETE", "", None)):
        answer = await api.request(method, path + rest, json=sent, headers=team.bob.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, rest)
    assert (await api.get("/v1/tasks", headers=headers)).status_code == 200


async def test_a_person_is_no_bot(api, team):
    """An admin makes no token of another member, under whatever id."""
    await join(api, team.ann, team.bob, workspace_id=team.workspace)
    body = {"name": "Program", "scopes": ["tasks:read"]}
    for person in (team.bob, team.ann):
        path = f"{team.path}/{person.user_id}"
        assert (await api.post(f"{path}/tokens", json=body, headers=team.ann.headers)).status_code == 404
        assert (await api.delete(path, headers=team.ann.headers)).status_code == 404


async def test_bots_count_as_members(api, team):
    """Of many that are made at once as many succeed as the workspace has room for."""
    answers = await asyncio.gather(
        *(api.post(team.path, json={"name": f"Bot {number}"}, headers=team.ann.headers) for number in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 3


async def test_the_tokens_of_a_bot_are_listed_and_end(api, team, make_bot):
    """Its administrators list its tokens without their secrets and delete one; it is not in their own list."""
    bot, headers = await make_bot()
    path = f"{team.path}/{bot['id']}/tokens"
    (token,) = (await api.get(path, headers=team.ann.headers)).json()["items"]
    assert "token" not in token
    assert (await api.get("/v1/tokens", headers=team.ann.headers)).json()["items"] == []
    assert (await api.delete(f"/v1/tokens/{token['id']}", headers=team.ann.headers)).status_code == 404
    assert (await api.delete(f"{path}/{token['id']}", headers=team.ann.headers)).status_code == 204
    assert (await api.get("/v1/tasks", headers=headers)).status_code == 401


async def test_a_bot_goes_with_its_workspace(api, team, make_bot, owner):
    """Deleting the workspace deletes the bot, its tokens and what it made, and nobody else."""
    _, headers = await make_bot()
    assert (await api.post("/v1/tasks", json={"title": "Roll out"}, headers=headers)).status_code == 201
    people = await owner.fetchval("SELECT count(*) FROM users WHERE bot_of IS NULL")
    await owner.execute("DELETE FROM workspaces WHERE id = $1", UUID(team.workspace))
    assert await owner.fetchval("SELECT count(*) FROM users WHERE bot_of IS NULL") == people
    assert await owner.fetchval("SELECT count(*) FROM users WHERE bot_of IS NOT NULL") == 0
    assert await owner.fetchval("SELECT count(*) FROM personal_tokens") == 0


async def test_a_repeated_request_makes_one_bot_and_one_token(api, team):
    """With an `Idempotency-Key` each repeat gets the first answer, also where a request takes several transactions."""

    async def twice(method, path, body=None):
        headers = {**team.ann.headers, "Idempotency-Key": f"{method} {path}"[-60:]}
        first, second = [await api.request(method, path, json=body, headers=headers) for _ in range(2)]
        assert (first.status_code, first.content) == (second.status_code, second.content), first.text
        assert second.headers["idempotency-replayed"] == "true"
        return first

    bot = (await twice("POST", team.path, {"name": "Deploy bot"})).json()
    path = f"{team.path}/{bot['id']}"
    token = (await twice("POST", f"{path}/tokens", {"name": "Pipeline", "scopes": ["tasks:read"]})).json()
    (listed,) = (await api.get(f"{path}/tokens", headers=team.ann.headers)).json()["items"]
    assert listed["id"] == token["id"]
    assert (await twice("DELETE", path)).status_code == 204
    assert (await api.get(team.path, headers=team.ann.headers)).json()["items"] == []


async def test_the_token_of_a_bot_ends_itself(api, team, make_bot):
    """A program that was told to stop leaves no token behind; the bot stays."""
    bot, headers = await make_bot()
    assert (await api.post("/v1/auth/logout", headers=headers)).status_code == 204
    tokens = await api.get(f"{team.path}/{bot['id']}/tokens", headers=team.ann.headers)
    assert tokens.json()["items"] == []
    assert (await api.get(team.path, headers=team.ann.headers)).json()["items"] == [bot]
