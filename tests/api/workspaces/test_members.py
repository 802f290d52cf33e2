"""Members come by their own consent and go, each with an event; roles say who may let them."""

import asyncio
import contextlib
import json

import asyncpg
import nats
import pytest

from joining import join
from taskbell.api.workspaces.policy import Role, may_change_membership
from taskbell.contract.subjects import RELAY_POKE


@pytest.fixture
def members(api, sign_up):
    """A workspace of `owner` with a member of every other role, and shorthand for the calls on its members."""
    return Team(api, sign_up)


class Team:
    def __init__(self, api, sign_up):
        self._api, self._sign_up = api, sign_up
        self.people = {}

    async def gather(self, *roles):
        """Found the workspace with a member of each role, and let a stranger exist."""
        owner = self.people["owner"] = await self._sign_up(email="owner@example.com")
        answer = await self._api.post("/v1/workspaces", json={"name": "Team"}, headers=owner.headers)
        self.id = answer.json()["id"]
        self.path = f"/v1/workspaces/{self.id}/members"
        for role in roles:
            self.people[role] = await self._sign_up(email=f"{role}@example.com")
            assert (await self.add(role, role, by="owner")).status_code == 200
        self.people["stranger"] = await self._sign_up(email="stranger@example.com")
        return self

    async def invite(self, who, role, *, by):
        """Call to invite a person."""
        body = {"email": f"{who}@example.com", "role": role}
        return await self._api.post(self.path, json=body, headers=self.people[by].headers)

    async def add(self, who, role, *, by):
        """Call to invite a person and, if that is done, to accept."""
        invited = await self.invite(who, role, by=by)
        if invited.status_code != 201:
            return invited
        path = f"/v1/invitations/{invited.json()['id']}/accept"
        return await self._api.post(path, headers=self.people[who].headers)

    async def remove(self, who, *, by):
        """Call to remove a person."""
        return await self._api.delete(f"{self.path}/{self.people[who].user_id}", headers=self.people[by].headers)

    async def change(self, who, role, *, by):
        """Call to give a person another role."""
        path = f"{self.path}/{self.people[who].user_id}"
        return await self._api.patch(path, json={"role": role}, headers=self.people[by].headers)

    async def roles(self, *, seen_by):
        """Roles by person, as the list of members tells them."""
        answer = await self._api.get(self.path, headers=self.people[seen_by].headers)
        assert answer.status_code == 200
        return {each["email"].partition("@")[0]: each["role"] for each in answer.json()["items"]}


async def _events(database):
    connection = await asyncpg.connect(database.superuser_url)
    rows = await connection.fetch(
        "SELECT type, workspace_id, subject_id, actor_id, audience, traceparent, data FROM events"
        " WHERE type LIKE 'member.%' ORDER BY id"
    )
    await connection.close()
    return rows


def test_rights_by_role():
    """Owners change every membership, admins all but owners', others none."""
    allowed = {(actor, of) for actor in Role for of in Role if may_change_membership(actor=actor, of=of)}
    assert allowed == {(Role.OWNER, of) for of in Role} | {(Role.ADMIN, of) for of in Role if of is not Role.OWNER}


async def test_a_member_is_added_with_an_event(members, database):
    """Who accepts is a member, and did it: the event is theirs, for them, and names workspace and role."""
    team = await members.gather()
    answer = await team.add("stranger", "member", by="owner")
    stranger = team.people["stranger"]
    assert answer.status_code == 200
    found = answer.json()
    assert (found["id"], found["name"], found["role"], found["created_at"][-1]) == (team.id, "Team", "member", "Z")
    assert await team.roles(seen_by="stranger") == {"owner": "owner", "stranger": "member"}
    (event,) = await _events(database)
    assert (event["type"], str(event["workspace_id"])) == ("member.added", team.id)
    assert (str(event["subject_id"]), str(event["actor_id"])) == (stranger.user_id, stranger.user_id)
    assert [str(each) for each in event["audience"]] == [stranger.user_id]
    assert event["traceparent"].startswith("00-")
    assert json.loads(event["data"]) == {"id": stranger.user_id, "workspace_id": team.id, "role": "member"}


@pytest.mark.feature("P4")
async def test_a_membership_opens_and_closes_the_workspace(api, members, database):
    """From the addition to the removal, and not longer, its tasks and members are seen; the removal is an event."""
    team = await members.gather()
    stranger = team.people["stranger"]
    task = (
        await api.post(
            "/v1/tasks", json={"title": "Dig", "workspace_id": team.id}, headers=team.people["owner"].headers
        )
    ).json()

    async def sees():
        task_seen = await api.get(f"/v1/tasks/{task['id']}", headers=stranger.headers)
        listed = await api.get(f"/v1/workspaces/{team.id}", headers=stranger.headers)
        return task_seen.status_code, listed.status_code

    assert await sees() == (404, 404)
    await team.add("stranger", "member", by="owner")
    assert await sees() == (200, 200)
    answer = await team.remove("stranger", by="owner")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await sees() == (404, 404)
    last = (await _events(database))[-1]
    assert last["type"] == "member.removed"
    assert [str(each) for each in last["audience"]] == [stranger.user_id]
    assert json.loads(last["data"]) == {"id": stranger.user_id, "workspace_id": team.id, "role": "member"}


async def test_the_relay_is_woken(members, nats_url):
    """A committed membership pokes the relay, so that its event goes out at once."""
    team = await members.gather()
    listener = await nats.connect(nats_url)
    subscription = await listener.subscribe(RELAY_POKE)
    await listener.flush()
    await team.add("stranger", "member", by="owner")
    await subscription.next_msg(timeout=60)
    await team.remove("stranger", by="owner")
    await subscription.next_msg(timeout=60)
    await listener.close()


@pytest.mark.feature("P4")
@pytest.mark.parametrize("actor", ["owner", "admin", "member", "viewer"])
async def test_who_may_add_whom(members, actor):
    """Each role adds what it may, else 403; everybody sees the members."""
    team = await members.gather("admin", "member", "viewer")
    for role in Role:
        allowed = may_change_membership(actor=Role(actor), of=role)
        answer = await team.add("stranger", role.value, by=actor)
        assert answer.status_code == (200 if allowed else 403)
        if allowed:
            assert (await team.roles(seen_by=actor))["stranger"] == role.value
            await team.remove("stranger", by="owner")
    assert set(await team.roles(seen_by=actor)) == {"owner", "admin", "member", "viewer"}


@pytest.mark.feature("P4")
@pytest.mark.parametrize("actor", ["owner", "admin", "member", "viewer"])
async def test_who_may_remove_whom(members, actor):
    """Each role removes what it may, else 403, and may itself leave unless it is the last owner."""
    team = await members.gather("admin", "member", "viewer")
    for role in ("viewer", "member", "admin", "owner"):
        if role == actor:
            continue
        allowed = may_change_membership(actor=Role(actor), of=Role(role))
        assert (await team.remove(role, by=actor)).status_code == (204 if allowed else 403)
    assert (await team.remove(actor, by=actor)).status_code == (409 if actor == "owner" else 204)


@pytest.mark.feature("P4")
@pytest.mark.parametrize("actor", ["owner", "admin", "member", "viewer"])
async def test_who_may_give_whom_which_role(members, actor):
    """A role is changed by who may remove it and may give the new one; others get a 403 and change nothing."""
    team = await members.gather("admin", "member", "viewer")
    for former in ("viewer", "member", "admin"):
        if former == actor:
            continue
        for role in Role:
            allowed = may_change_membership(actor=Role(actor), of=role)
            answer = await team.change(former, role.value, by=actor)
            assert answer.status_code == (200 if allowed else 403), (former, role)
            now = (await team.roles(seen_by="owner"))[former]
            assert now == (role.value if allowed else former)
            if allowed:
                assert answer.json()["role"] == role.value
                assert (await team.change(former, former, by="owner")).status_code == 200
    if actor != "owner":
        assert (await team.change("owner", "member", by=actor)).status_code == 403
    missing = 404 if actor in {"owner", "admin"} else 403
    assert (await team.change("stranger", "member", by=actor)).status_code == missing


async def test_a_role_change_is_an_event_with_the_former_role(members, database):
    """The member's clients and the workspace's webhooks are told; giving the same role tells nobody."""
    team = await members.gather("member")
    assert (await team.change("member", "viewer", by="owner")).status_code == 200
    assert (await team.change("member", "viewer", by="owner")).status_code == 200
    added, changed = await _events(database)
    member = team.people["member"].user_id
    assert (added["type"], changed["type"]) == ("member.added", "member.role_changed")
    assert [str(each) for each in changed["audience"]] == [member]
    assert json.loads(changed["data"]) == {
        "id": member,
        "workspace_id": team.id,
        "role": "viewer",
        "previous": {"role": "member"},
    }


async def test_a_workspace_is_handed_over(members):
    """The last owner keeps the role; with a successor the former owner steps down, and cannot take it back."""
    team = await members.gather("member")
    answer = await team.change("owner", "member", by="owner")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert (await team.change("member", "owner", by="owner")).status_code == 200
    assert (await team.change("owner", "viewer", by="owner")).status_code == 200
    assert await team.roles(seen_by="owner") == {"owner": "viewer", "member": "owner"}
    assert (await team.change("owner", "owner", by="owner")).status_code == 403


async def test_two_owners_stepping_down_at_once_leave_one(members):
    """Simultaneous steps of the last two owners: one goes down, one stays."""
    team = await members.gather()
    await team.add("stranger", "owner", by="owner")
    answers = await asyncio.gather(*(team.change(who, "member", by=who) for who in ("owner", "stranger")))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_the_owner_of_a_personal_workspace_keeps_the_role(api, sign_up):
    """Nobody gives away their own personal workspace."""
    ann = await sign_up()
    personal = (await api.get("/v1/me", headers=ann.headers)).json()["personal_workspace_id"]
    path = f"/v1/workspaces/{personal}/members/{ann.user_id}"
    assert (await api.patch(path, json={"role": "viewer"}, headers=ann.headers)).status_code == 409


async def test_a_bot_is_no_owner(api, members):
    """A bot gets any role but the owner's: a workspace always belongs to a person."""
    team = await members.gather()
    headers = team.people["owner"].headers
    body = {"name": "Robot", "role": "member"}
    bot = (await api.post(f"/v1/workspaces/{team.id}/bots", json=body, headers=headers)).json()
    path = f"{team.path}/{bot['id']}"
    assert (await api.patch(path, json={"role": "owner"}, headers=headers)).status_code == 409
    assert (await api.patch(path, json={"role": "viewer"}, headers=headers)).status_code == 200


async def test_who_left_has_an_event_and_no_access(api, members, database):
    """Leaving writes the event though the actor loses the workspace with it."""
    team = await members.gather("viewer")
    assert (await team.remove("viewer", by="viewer")).status_code == 204
    assert [row["type"] for row in await _events(database)] == ["member.added", "member.removed"]
    assert (await api.get(team.path, headers=team.people["viewer"].headers)).status_code == 404


async def test_the_last_owner_stays(members):
    """A workspace keeps an owner; with a second one the first may go."""
    team = await members.gather()
    answer = await team.remove("owner", by="owner")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    await team.add("stranger", "owner", by="owner")
    assert (await team.remove("owner", by="owner")).status_code == 204
    assert (await team.remove("stranger", by="stranger")).status_code == 409


async def test_two_owners_leaving_at_once_leave_one(members):
    """Simultaneous departures of the last two owners: one goes, one stays."""
    team = await members.gather()
    await team.add("stranger", "owner", by="owner")
    answers = await asyncio.gather(*(team.remove(who, by=who) for who in ("owner", "stranger")))
    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_adding_and_removing_twice(api, members, database):
    """A person is invited, joins and is removed once, also by simultaneous calls, with one event each."""
    team = await members.gather()
    answers = await asyncio.gather(*(team.invite("stranger", "member", by="owner") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 4
    path = next(f"/v1/invitations/{each.json()['id']}/accept" for each in answers if each.status_code == 201)
    stranger = team.people["stranger"]
    answers = await asyncio.gather(*(api.post(path, headers=stranger.headers) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 4
    answers = await asyncio.gather(*(team.remove("stranger", by="owner") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [204] + [404] * 4
    assert [row["type"] for row in await _events(database)] == ["member.added", "member.removed"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"email": "nobody@example.com"}, 201),
        ({"email": "nobody"}, 422),
        ({"email": "stranger@example.com", "role": "king"}, 422),
        ({"role": "member"}, 422),
        ({"email": "STRANGER@example.com"}, 201),
    ],
)
async def test_whom_to_invite(api, members, body, status):
    """Anybody by an address, in any letter case; the role is `member` when left out."""
    team = await members.gather()
    answer = await api.post(team.path, json=body, headers=team.people["owner"].headers)
    assert answer.status_code == status
    if status == 201:
        found = answer.json()
        assert (found["email"], found["role"]) == (body["email"].lower(), "member")


async def test_paging_members(api, members):
    """The members' cursor goes through all of them, and fits no other workspace."""
    team = await members.gather("admin", "member", "viewer")
    owner = team.people["owner"]
    seen, cursor = [], None
    while cursor is not None or not seen:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(team.path, params=query, headers=owner.headers)).json()
        seen += [each["user_id"] for each in page["items"]]
        cursor = page["meta"]["next_cursor"] or None
        if cursor:
            foreign = f"/v1/workspaces/{owner.workspace_id}/members"
            assert (await api.get(foreign, params=query | {"cursor": cursor}, headers=owner.headers)).status_code == 400
        else:
            break
    assert seen == sorted(seen)
    assert len(seen) == 4


@pytest.mark.feature("M33")
async def test_the_database_itself_keeps_strangers_from_memberships(members, database):
    """Under the API's role nobody writes a membership without an invitation; strangers and members see none."""
    team = await members.gather("admin", "member")
    people = team.people
    connection = await asyncpg.connect(database.api_url)

    @contextlib.asynccontextmanager
    async def acting(who):
        async with connection.transaction():
            await connection.execute("SELECT set_config('taskbell.actor', $1, true)", people[who].user_id)
            yield

    insert = "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, $3)"
    for who, role in (("stranger", "member"), ("member", "member"), ("admin", "member"), ("owner", "member")):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with acting(who):
                await connection.execute(insert, people["stranger"].user_id, team.id, role)
    for who, seen in (("stranger", 0), ("member", 1), ("admin", 3), ("owner", 3)):
        async with acting(who):
            found = await connection.fetchval("SELECT count(*) FROM memberships WHERE workspace_id = $1", team.id)
            listed = await connection.fetch("SELECT * FROM taskbell.members_of($1, NULL, 10)", team.id)
        assert found == seen
        assert len(listed) == (0 if who == "stranger" else 3)
    delete = "DELETE FROM memberships WHERE workspace_id = $1 AND user_id = $2"
    for who in ("stranger", "member", "admin"):
        async with acting(who):
            assert await connection.execute(delete, team.id, people["owner"].user_id) == "DELETE 0"
    await connection.close()


async def test_hot_statements_do_not_pay_for_administration(members, database):
    """Reading tasks, which every policy lets read the actor's own memberships, asks nobody who administers what."""
    team = await members.gather()
    connection = await asyncpg.connect(database.superuser_url)

    async def calls(statement):
        async with connection.transaction():
            await connection.execute("SET LOCAL track_functions = 'all'; SET LOCAL ROLE taskbell_api")
            actor = team.people["owner"].user_id
            await connection.execute("SELECT set_config('taskbell.actor', $1, true)", actor)
            await connection.execute(statement)
            return await connection.fetchval(
                "SELECT coalesce(sum(calls), 0) FROM pg_stat_xact_user_functions"
                " WHERE funcname IN ('administers', 'role_in')"
            )

    await team.add("stranger", "member", by="owner")
    assert await calls("SELECT * FROM tasks") == 0
    assert await calls("SELECT * FROM memberships") > 0  # a stranger's row among them
    await connection.close()


async def test_a_person_stays_in_their_personal_workspace(api, sign_up):
    """Another owner of it may not remove its person, who goes on creating tasks there; the other may be removed."""
    ann, bob = await sign_up(email="ann@example.com"), await sign_up(email="bob@example.com")
    path = f"/v1/workspaces/{ann.workspace_id}/members"
    await join(api, ann, bob, workspace_id=ann.workspace_id, role="owner")
    for who in (ann, bob):
        answer = await api.delete(f"{path}/{ann.user_id}", headers=who.headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert (await api.post("/v1/tasks", json={"title": "Still here"}, headers=ann.headers)).status_code == 201
    assert (await api.delete(f"{path}/{bob.user_id}", headers=ann.headers)).status_code == 204
