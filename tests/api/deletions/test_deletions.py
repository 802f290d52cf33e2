"""Who deletes the account is gone: everywhere, soon, and for good. What is shared stays with others, without a name."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pyotp
import pytest

from joining import join
from taskbell.api.app import create_app
from taskbell.local import db
from taskbell.store.models import Model
from taskbell.sweeper.repository import maintaining
from taskbell.testing.waiting import eventually

DELETE = "/v1/me/delete"
MEMBERS = "/v1/workspaces/{}/members"


def _word(account):
    return account.email.partition("@")[0]


@pytest.fixture
async def team(call, api, ann, bob):
    """A workspace that Bob owns and Ann administers."""
    made = await call(bob, "POST", "/workspaces", status=201, json={"name": "Garden"})
    await join(api, bob, ann, workspace_id=made["id"], role="admin")
    return made["id"]


@pytest.fixture
def leave_traces(call, ann, team, owner):
    """Lets Ann have something of everything; returns a task of the team, one of her own, and a token."""

    async def work():
        word = _word(ann)
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        task = {"title": "Water the roses", "workspace_id": team, "assignee_ids": [ann.user_id], "due_at": tomorrow}
        shared = await call(ann, "POST", "/tasks", status=201, json=task)
        own = await call(ann, "POST", "/tasks", status=201, json={"title": f"Of {word}", "due_at": tomorrow})
        await call(ann, "POST", f"/tasks/{shared['id']}/comments", status=201, json={"body": "They are dry"})
        await call(ann, "PUT", f"/tasks/{shared['id']}/subscription", status=200, json={"state": "watching"})
        await call(ann, "POST", f"/tasks/{own['id']}/remind", status=200, json={})
        hook = {"url": "https://a.example/hook", "event_types": ["*"]}
        await call(ann, "POST", "/webhooks", status=201, json=hook | {"workspace_id": team})
        await call(ann, "POST", "/webhooks", status=201, json=hook | {"url": f"https://{word}.example/hook"})
        await call(ann, "POST", "/devices", status=201, json={"kind": "fcm", "token": word * 2, "name": word})
        await call(ann, "POST", "/me/email/confirmation", status=202)
        await owner.execute("UPDATE users SET email_confirmed_at = now() WHERE id = $1", UUID(ann.user_id))
        await call(ann, "POST", "/me/email", status=202, json={"email": f"new.{ann.email}", "password": ann.password})
        await call(ann, "PUT", "/me/channels/email", status=200, json={"enabled": True, "kinds": ["*"]})
        await call(ann, "PATCH", "/me", status=200, json={"quiet_hours": {"from": "22:00", "until": "07:00"}})
        made = await call(ann, "POST", "/tokens", status=201, json={"name": word, "scopes": ["tasks:read"]})
        return shared, own, made["token"]

    return work


async def test_nothing_of_the_person_is_left_in_any_table(
    leave_traces, api, call, delete, ann, bob, team, found, maintenance, owner, sign_up
):
    """After the next maintenance neither the name nor the address stands in any column of any table."""
    await leave_traces()
    guest = await sign_up()
    await api.post(MEMBERS.format(team), json={"email": guest.email, "role": "member"}, headers=ann.headers)
    stranger = {"email": "stranger@example.com", "role": "member"}
    await api.post(MEMBERS.format(team), json=stranger, headers=ann.headers)
    garden = await call(bob, "POST", "/workspaces", status=201, json={"name": "Greenhouse"})
    invited = {"email": ann.email, "role": "member"}
    await api.post(MEMBERS.format(garden["id"]), json=invited, headers=bob.headers)
    await api.post("/v1/auth/password-reset", json={"email": ann.email})
    assert len(await found(_word(ann))) > 10
    assert (await delete(ann)).status_code == 204
    # What waits for maintenance is content of her own workspace, and what others were told of her.
    left = await found(_word(ann))
    assert left <= {"tasks", "events", "notifications"}
    report = await maintenance()
    assert (report["erased"], report["failed"]) == (2, {})
    assert await found(_word(ann)) <= {"events"}
    texts = await owner.fetch("SELECT type, workspace_id FROM events WHERE data::text ILIKE $1", f"%{_word(ann)}%")
    # Events of what she wrote in her own workspace go with their retention; nobody may read them.
    assert {row["workspace_id"] for row in texts} <= {UUID(ann.workspace_id)}
    notice = (await call(guest, "GET", "/notifications", status=200))["items"][0]
    assert (notice["kind"], notice["body"]) == ("invited", "A deleted user invited you")
    assert (await maintenance())["erased"] == 0


async def test_the_own_workspace_goes_and_shared_tasks_stay(
    leave_traces, call, delete, ann, bob, team, maintenance, owner
):
    """Her task and her comment stay with the team under an id that names nobody; her own tasks and reminders go."""
    shared, own, _ = await leave_traces()
    assert (await delete(ann)).status_code == 204
    await maintenance()
    kept = await call(bob, "GET", f"/tasks/{shared['id']}", status=200)
    assert (kept["title"], kept["created_by"]) == ("Water the roses", ann.user_id)
    comments = await call(bob, "GET", f"/tasks/{shared['id']}/comments", status=200)
    assert [each["author_id"] for each in comments["items"]] == [ann.user_id]
    members = await call(bob, "GET", f"/workspaces/{team}/members", status=200)
    assert [each["user_id"] for each in members["items"]] == [bob.user_id]
    for table, key in (("tasks", "id"), ("reminders", "task_id"), ("comments", "task_id")):
        assert not await owner.fetchval(f"SELECT count(*) FROM {table} WHERE {key} = $1", UUID(own["id"]))
    assert not await owner.fetchval("SELECT count(*) FROM workspaces WHERE id = $1", UUID(ann.workspace_id))
    row = await owner.fetchrow("SELECT * FROM users WHERE id = $1", UUID(ann.user_id))
    assert (row["name"], row["email"]) == ("Deleted user", f"deleted-{ann.user_id}@deleted.invalid")
    assert (row["password_hash"], row["email_confirmed_at"], row["quiet_from"]) == (None, None, None)


async def test_the_team_is_told(leave_traces, call, delete, ann, bob, team, owner):
    """`member.removed` without a name; her webhooks there are paused, and the owner reads why."""
    await leave_traces()
    assert (await delete(ann)).status_code == 204
    rows = await owner.fetch("SELECT data::text FROM events WHERE type = 'member.removed'")
    assert len(rows) == 1
    assert ann.user_id in rows[0]["data"]
    assert _word(ann) not in rows[0]["data"]
    (hook,) = (await call(bob, "GET", "/webhooks", status=200, params={"workspace_id": team}))["items"]
    assert (hook["enabled"], hook["disabled_reason"]) == (False, "responsible_left")
    notice = (await call(bob, "GET", "/notifications", status=200))["items"][0]
    assert notice["body"] == "Switched off in Garden: 1 webhook, because Deleted user no longer administers it"


async def test_every_way_in_ends_in_every_process(leave_traces, api, settings, api_client_of, call, delete, ann, team):
    """Access tokens, personal tokens and refresh tokens, in this process and in another one."""
    *_, token = await leave_traces()
    program = {"Authorization": f"Bearer {token}"}
    application = create_app(settings)
    async with application.router.lifespan_context(application), api_client_of(application) as second:
        for client in (api, second):
            for headers in (ann.headers, program):
                assert (await client.get("/v1/tasks", headers=headers)).status_code == 200
        assert (await delete(ann)).status_code == 204

        async def refused():
            answers = [await c.get("/v1/tasks", headers=h) for c in (api, second) for h in (ann.headers, program)]
            return {answer.status_code for answer in answers} == {401}

        assert await eventually(refused)
        refreshed = await second.post("/v1/auth/refresh", json={"refresh_token": ann.refresh_token})
        assert (refreshed.status_code, refreshed.json()["code"]) == (401, "invalid_refresh_token")
        entered = await second.post("/v1/auth/login", json={"email": ann.email, "password": ann.password})
        assert (entered.status_code, entered.json()["code"]) == (401, "invalid_credentials")


async def test_a_restored_workspace_does_not_send_to_who_is_gone(call, delete, ann, bob, team):
    """Her webhooks are paused, though the workspace was deleted when she deleted her account."""
    hook = {"url": "https://a.example/hook", "event_types": ["*"], "workspace_id": team}
    await call(ann, "POST", "/webhooks", status=201, json=hook)
    await call(bob, "DELETE", f"/workspaces/{team}", status=204)
    assert (await delete(ann)).status_code == 204
    await call(bob, "POST", f"/workspaces/{team}/restore", status=200)
    (paused,) = (await call(bob, "GET", "/webhooks", status=200, params={"workspace_id": team}))["items"]
    assert (paused["enabled"], paused["disabled_reason"]) == (False, "responsible_left")


async def test_a_founder_who_was_removed_gets_nothing_when_all_are_gone(api, call, delete, ann, bob, database):
    """A deleted workspace whose last owner deletes the account is not that of its founder again, who was removed."""
    made = await call(ann, "POST", "/workspaces", status=201, json={"name": "Garden"})
    await join(api, ann, bob, workspace_id=made["id"], role="owner")
    await call(bob, "DELETE", f"/workspaces/{made['id']}/members/{ann.user_id}", status=204)
    await call(bob, "DELETE", f"/workspaces/{made['id']}", status=204)
    assert (await delete(bob)).status_code == 204
    async with db.connected(database.api_url) as connection, connection.transaction():
        await connection.execute("SELECT set_config('taskbell.actor', $1, true)", ann.user_id)
        seen = await connection.fetch("SELECT id FROM workspaces")
        assert [row["id"] for row in seen] == [UUID(ann.workspace_id)]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'owner')",
                *(UUID(ann.user_id), UUID(made["id"])),
            )


async def test_names_are_hidden_without_reading_all_events(delete, ann, bob, database, owner):
    """However many notices name her. A transaction that writes holds up the relay, and all events may take minutes."""
    await owner.execute(
        """
        WITH told AS (
          INSERT INTO notifications (user_id, kind, workspace_id, actor_id, title, body)
          SELECT $1, 'invited', gen_random_uuid(), $2, 'Invitation', 'Ann' FROM generate_series(1, 300) RETURNING id
        )
        INSERT INTO events (workspace_id, type, subject_id, audience, data)
        SELECT gen_random_uuid(), 'notification.created', id, '{}'::uuid[], '{"body": "Ann"}'::json FROM told
        UNION ALL
        SELECT gen_random_uuid(), 'notification.created', gen_random_uuid(), '{}', '{}' FROM generate_series(1, 5000)
        """,
        *(UUID(bob.user_id), UUID(ann.user_id)),
    )
    await owner.execute("ANALYZE events")
    await owner.execute("ANALYZE notifications")
    assert (await delete(ann)).status_code == 204
    walks = "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname LIKE 'events\\_%' AND n_live_tup > 0"
    before = await owner.fetchval(walks)
    async with maintaining(database.owner_url) as maintained:
        await maintained.erase()
    assert await owner.fetchval(walks) == before
    nameless = "A deleted user invited you"
    assert await owner.fetchval("SELECT count(*) FROM notifications WHERE body = $1", nameless) == 300
    assert await owner.fetchval("SELECT count(*) FROM events WHERE data ->> 'body' = $1", nameless) == 300


async def test_the_address_registers_again_as_somebody_new(leave_traces, api, call, delete, sign_up, ann, team):
    """With nothing of the former account."""
    await leave_traces()
    assert (await delete(ann)).status_code == 204
    again = await sign_up(email=ann.email)
    assert again.user_id != ann.user_id
    assert [each["id"] for each in (await call(again, "GET", "/workspaces", status=200))["items"]] == [
        again.workspace_id
    ]
    assert (await call(again, "GET", "/notifications", status=200))["items"] == []
    assert (await call(again, "GET", "/invitations", status=200))["items"] == []


async def test_the_last_owner_hands_over_first(api, call, delete, ann, bob, sign_up):
    """409 names the workspace, and nothing has changed; with another owner it goes, and so does what is hers alone."""
    made = await call(ann, "POST", "/workspaces", status=201, json={"name": "Garden"})
    alone = await call(ann, "POST", "/workspaces", status=201, json={"name": "Attic"})
    await call(ann, "POST", f"/workspaces/{alone['id']}/bots", status=201, json={"name": "Duster", "role": "member"})
    await join(api, ann, bob, workspace_id=made["id"])
    refused = await delete(ann)
    assert (refused.status_code, refused.json()["code"]) == (409, "last_owner")
    assert f"Garden ({made['id']})" in refused.json()["detail"]
    assert "Attic" not in refused.json()["detail"]
    await call(ann, "GET", "/me", status=200)
    await call(ann, "PATCH", f"/workspaces/{made['id']}/members/{bob.user_id}", status=200, json={"role": "owner"})
    assert (await delete(ann)).status_code == 204
    assert (await call(bob, "GET", f"/workspaces/{made['id']}", status=200))["role"] == "owner"


async def test_a_bot_ends_with_the_workspace(api, call, delete, ann, maintenance, owner):
    """The only person of a workspace takes its bots along: their tokens at once, their rows with maintenance."""
    bot = await call(
        ann, "POST", f"/workspaces/{ann.workspace_id}/bots", status=201, json={"name": "Duster", "role": "member"}
    )
    path = f"/workspaces/{ann.workspace_id}/bots/{bot['id']}/tokens"
    token = await call(ann, "POST", path, status=201, json={"name": "t", "scopes": ["tasks:read", "tasks:write"]})
    headers = {"Authorization": f"Bearer {token['token']}"}
    assert (await api.post("/v1/tasks", json={"title": "Dust"}, headers=headers)).status_code == 201
    assert (await delete(ann)).status_code == 204
    assert await eventually(lambda: _is_refused(api, headers))
    assert (await maintenance())["failed"] == {}
    assert not await owner.fetchval("SELECT count(*) FROM users WHERE bot_of IS NOT NULL")


async def _is_refused(api, headers):
    return (await api.get("/v1/tasks", headers=headers)).status_code == 401


async def test_only_the_right_password_deletes(api, delete, call, ann):
    """A wrong or missing one is a 422 at the field, and counts as other wrong passwords of the session."""
    for body in ({"password": "wrong"}, {"password": None}):
        answer = await delete(ann, **body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/password")
    answers = [(await delete(ann, password="wrong")).status_code for _ in range(10)]
    assert answers[-1] == 429
    assert (await delete(ann)).status_code == 429
    await call(ann, "GET", "/me", status=200)


async def test_an_account_without_a_password_needs_a_fresh_sign_in(delete, call, ann, owner):
    """As at a change of its address: 15 minutes."""
    await owner.execute("UPDATE users SET password_hash = NULL WHERE id = $1", UUID(ann.user_id))
    await owner.execute("UPDATE sessions SET created_at = now() - interval '16 minutes'")
    answer = await delete(ann, password=None)
    assert (answer.status_code, answer.json()["code"]) == (403, "sign_in_again")
    await owner.execute("UPDATE sessions SET created_at = now() - interval '14 minutes'")
    assert (await delete(ann, password=None)).status_code == 204


async def test_the_second_factor_is_asked_for(call, delete, ann):
    """Where one is in force the password alone deletes nothing, and a code works once."""
    made = await call(ann, "POST", "/me/second-factor", status=201, json={"password": ann.password})
    authenticator = pyotp.TOTP(made["secret"])
    used = authenticator.now()
    codes = await call(ann, "POST", "/me/second-factor/confirm", status=200, json={"code": used})
    for body in ({}, {"code": used}, {"code": "AAAA-AAAA-AAAA-AAAA"}):
        answer = await delete(ann, **body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/code")
    assert (await delete(ann, code=codes["recovery_codes"][0])).status_code == 204


async def test_a_personal_token_deletes_nothing(api, call, ann):
    """Whatever its scopes: only a session may."""
    scopes = ["profile:read", "profile:write", "workspaces:write"]
    made = await call(ann, "POST", "/tokens", status=201, json={"name": "p", "scopes": scopes})
    headers = {"Authorization": f"Bearer {made['token']}"}
    answer = await api.post(DELETE, json={"password": ann.password}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "session_required")


async def test_many_at_once_delete_once(delete, ann, owner):
    """One of them is answered 204, the others 401; what follows happened once."""
    answers = await asyncio.gather(*(delete(ann) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [204] + [401] * 7
    assert await owner.fetchval("SELECT count(*) FROM erasures") == 2


async def test_two_owners_who_leave_at_once_do_not_leave_a_workspace_of_others(api, call, delete, ann, bob, sign_up):
    """One of them is refused; a workspace that a third person is in keeps an owner."""
    for _ in range(5):
        first, second, third = [await sign_up() for _ in range(3)]
        made = await call(first, "POST", "/workspaces", status=201, json={"name": "Garden"})
        await join(api, first, second, workspace_id=made["id"], role="owner")
        await join(api, first, third, workspace_id=made["id"])
        answers = await asyncio.gather(delete(first), delete(second))
        assert sorted(answer.status_code for answer in answers) == [204, 409]
        members = await call(third, "GET", f"/workspaces/{made['id']}/members", status=200)
        assert sorted(each["role"] for each in members["items"]) == ["member", "owner"]


async def test_a_deletion_that_is_cut_off_changes_nothing(database, call, delete, ann, team, owner):
    """Killed before it commits, it is as if nobody had asked; asked again, it works."""
    connection = await asyncpg.connect(database.api_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT set_config('taskbell.actor', $1, true)", ann.user_id)
    await connection.fetch("SELECT * FROM taskbell.lock_departure()")
    assert await connection.fetchval("SELECT workspaces_left FROM taskbell.delete_account(NULL)") == 1
    connection.terminate()
    await call(ann, "GET", f"/workspaces/{team}", status=200)
    assert (await delete(ann)).status_code == 204


_HAVE_NO_TRIGGER = {
    "suspended_memberships.user_id": "of a deleted workspace: it takes the lock that the deletion of the account takes",
    "refresh_tokens.user_id": "a session comes before",
    "password_resets.user_id": "taskbell.request_password_reset looks the address up, which is gone",
    "invitations.invited_by": "row-level security asks for a membership",
    "tasks.created_by": "row-level security asks for a membership",
    "comments.author_id": "row-level security asks for a membership",
    "task_subscriptions.user_id": "row-level security asks for a membership",
    "webhooks.created_by": "row-level security asks for a membership",
    "webhooks.responsible_id": "row-level security asks for a membership",
    "notifications.user_id": "members alone are told",
}
"""Columns of users that nothing is added to once the account is deleted, each with the reason."""


async def test_nothing_is_added_to_a_deleted_account(api, database, ann, delete, owner):
    """A request that was under way meanwhile is refused as if its token were old; each table of a user has a guard."""
    guarded = {
        f"{row['table']}.{row['column']}"
        for row in await owner.fetch(
            "SELECT tgrelid::regclass::text AS table, trim(trailing '\\000' FROM encode(tgargs, 'escape')) AS column"
            " FROM pg_trigger WHERE tgname = 'of_an_account'"
        )
    }
    referring = {
        f"{table.name}.{key.parent.name}"
        for table in Model.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == "users"
    }
    assert guarded | set(_HAVE_NO_TRIGGER) == referring
    device = {"kind": "fcm", "token": "late" * 10}
    assert (await delete(ann)).status_code == 204
    late = await api.post("/v1/devices", json=device, headers=ann.headers)
    assert (late.status_code, late.json()["code"]) == (401, "unauthenticated")
    with pytest.raises(asyncpg.RestrictViolationError):
        await owner.execute("INSERT INTO email_channels (user_id, kinds) VALUES ($1, '{*}')", UUID(ann.user_id))
