"""Row-level security: under a service's role, PostgreSQL itself shows and changes only what the actor may."""

import dataclasses
import json
import secrets
from uuid import UUID, uuid4

import asyncpg
import pytest

from taskbell.local import db
from taskbell.store.models import Model

pytestmark = pytest.mark.feature("M33")

_WITHOUT_TENANT = {
    "job_log": "ids of jobs that are done; the API's role has no right to it",
    "relay_state": "the relay's own bookkeeping; the API's role has no right to it",
    "workspace_usage": "measured by the relay; the API's role has no right to it",
    "report_state": "how far events are summed up; one row for all workspaces",
    "provider_tokens": "delivery's tokens of push providers; the API's role has no right to it",
    "erasures": "what maintenance is to erase; the API's role has no right to it",
    "login_attempts": "keys are hashes; it is written before anybody is signed in",
    "invitation_letters": "tokens for addresses without accounts; the API's role has no right to it",
    "used_sign_ins": "random ids; it is written before anybody is signed in",
}
"""Tables that hold no tenant's rows, each with the reason. Every other table must hide its rows."""

_OF_A_WORKSPACE = [table.name for table in Model.metadata.sorted_tables if "workspace_id" in table.columns]
_OF_A_TENANT = [table.name for table in Model.metadata.sorted_tables if table.name not in _WITHOUT_TENANT]


@dataclasses.dataclass(frozen=True)
class Account:
    """A user with one row in every tenant table."""

    user: UUID
    workspace: UUID
    task: UUID
    deleted: UUID
    """A workspace that the user deleted."""


async def _account(owner) -> Account:
    user, workspace = uuid4(), uuid4()
    await owner.execute(
        "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, $2, 'Somebody', $3)",
        user,
        f"{user}@example.com",
        workspace,
    )
    await owner.execute("INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'Mine', $2)", workspace, user)
    await _add_member(owner, user=user, workspace=workspace, role="owner")
    task = await owner.fetchval(
        "INSERT INTO tasks (workspace_id, title, created_by, assignee_ids) VALUES ($1, 'Secret', $2, ARRAY[$2::uuid])"
        " RETURNING id",
        workspace,
        user,
    )
    await owner.execute(
        "INSERT INTO deleted_tasks (id, workspace_id, priority, position, created_at, updated_at)"
        " VALUES (gen_random_uuid(), $1, 5, 1, now(), now())",
        workspace,
    )
    await owner.execute(
        "INSERT INTO events (workspace_id, type, subject_id, audience, data) VALUES ($1, 'task.created', $2, '{}', $3)",
        workspace,
        task,
        json.dumps({"id": str(task)}),
    )
    await owner.execute("INSERT INTO report_cells VALUES ($1, 'created', 0, $2, '-infinity', 0, 1, 0)", workspace, user)
    await owner.execute(
        "INSERT INTO notifications (user_id, kind, workspace_id, task_id, title, body)"
        " VALUES ($1, 'due_soon', $2, $3, 'Secret', 'Due')",
        user,
        workspace,
        task,
    )
    await owner.execute(
        "INSERT INTO reminders (task_id, workspace_id, lead, fire_at) VALUES ($1, $2, '1 hour', now())", task, workspace
    )
    session = await owner.fetchval(
        "INSERT INTO sessions (id, user_id, expires_at) VALUES (gen_random_uuid(), $1, now() + '1 day') RETURNING id",
        user,
    )
    await owner.execute(
        "INSERT INTO refresh_tokens (token_hash, session_id, user_id) VALUES ($1, $2, $3)",
        secrets.token_bytes(32),
        session,
        user,
    )
    await owner.execute(
        "INSERT INTO personal_tokens (id, user_id, name, scopes, token_hash, expires_at)"
        " VALUES (gen_random_uuid(), $1, 'Program', '{tasks:read}', $2, now())",
        user,
        secrets.token_bytes(32),
    )
    await owner.execute(
        "INSERT INTO webhooks (id, workspace_id, url, event_types, secret)"
        " VALUES ($1, $1, 'https://a.example', '{*}', 's')",
        workspace,
    )
    await owner.execute(
        "INSERT INTO invitations (id, workspace_id, email, role, invited_by, expires_at)"
        " VALUES (gen_random_uuid(), $1, $2, 'member', $3, now() + '1 day')",
        workspace,
        f"guest.{user}@example.com",
        user,
    )
    await owner.execute(
        "INSERT INTO email_confirmations (user_id, email, mailbox, token_hash, expires_at)"
        " VALUES ($1, 'a', $2, $2, now())",
        user,
        secrets.token_bytes(32),
    )
    await owner.execute(
        "INSERT INTO password_resets (user_id, mailbox, token_hash, expires_at) VALUES ($1, $2, $2, now())",
        user,
        secrets.token_bytes(32),
    )
    await owner.execute(
        "INSERT INTO kept_answers (user_id, name, sealed) VALUES ($1, $2, $2)", user, secrets.token_bytes(32)
    )
    await owner.execute(
        "INSERT INTO identities (issuer, subject, user_id) VALUES ('https://id.example', $1::text, $1::text::uuid)",
        str(user),
    )
    await owner.execute("INSERT INTO second_factors (user_id, secret) VALUES ($1, 's')", user)
    await owner.execute("INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, sha256(''))", user)
    await owner.execute("INSERT INTO email_channels (user_id, kinds) VALUES ($1, '{*}')", user)
    await owner.execute(
        "INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at)"
        " VALUES ($1, 'webhook', $1, $1, 'task.created', '{}', now())",
        workspace,
    )
    await owner.execute(
        "INSERT INTO alert_endpoints (id, user_id, kind, address, address_hash) VALUES ($1, $1, 'fcm', 'a', $2)",
        user,
        secrets.token_bytes(32),
    )
    await owner.execute(
        "INSERT INTO alert_preferences (user_id, workspace_id, kind, channel, enabled) VALUES ($1, $2, '*', '*', true)",
        user,
        workspace,
    )
    await owner.execute(
        "INSERT INTO task_subscriptions (task_id, user_id, workspace_id, state) VALUES ($1, $2, $3, 'watching')",
        task,
        user,
        workspace,
    )
    await owner.execute(
        "INSERT INTO comments (task_id, workspace_id, author_id, body) VALUES ($1, $2, $3, 'Secret')",
        task,
        workspace,
        user,
    )
    deleted = uuid4()
    await owner.execute("INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'Deleted', $2)", deleted, user)
    await owner.execute("INSERT INTO suspended_memberships VALUES ($1, $2, 'owner', now())", user, deleted)
    return Account(user=user, workspace=workspace, task=task, deleted=deleted)


async def _add_member(owner, *, user, workspace, role):
    await owner.execute(
        "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, $3)", user, workspace, role
    )


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner, which alone may prepare foreign rows."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.fixture
async def mine(owner):
    """The account that acts."""
    return await _account(owner)


@pytest.fixture
async def foreign(owner):
    """An account that has nothing to do with `mine`."""
    return await _account(owner)


@pytest.fixture
async def api(database):
    """A connection as the API."""
    async with db.connected(database.api_url) as connection:
        yield connection


@pytest.fixture
def act_as(api):
    """Sets the actor for what the API's connection does next."""

    async def act(user):
        await api.execute("SELECT set_config('taskbell.actor', $1, false)", str(user) if user else "")

    return act


async def _holders(api, table):
    """Who owns what the API sees of a table: ids of users or workspaces."""
    column = {"users": "id", "workspaces": "id"}.get(table)
    if column is None:
        column = "workspace_id" if table in _OF_A_WORKSPACE else "user_id"
    return {row[0] for row in await api.fetch(f"SELECT {column} FROM {table}")}


@pytest.mark.parametrize("table", _OF_A_TENANT)
async def test_without_an_actor_nothing_is_seen(api, act_as, mine, table):
    """A statement that forgot to say for whom it acts reads no row of any tenant table."""
    assert await _holders(api, table) == set()
    await act_as(None)  # what a transaction's setting reverts to
    assert await _holders(api, table) == set()


@pytest.mark.parametrize("table", _OF_A_TENANT)
async def test_a_query_without_where_shows_only_own_rows(api, act_as, mine, foreign, table):
    """`SELECT * FROM` any tenant table shows the actor's rows, all of them, and nobody else's."""
    await act_as(mine.user)
    of_a_user = {
        *("users", "sessions", "refresh_tokens", "personal_tokens", "password_resets"),
        *("email_channels", "email_confirmations", "alert_endpoints", "kept_answers", "identities"),
        *("second_factors", "recovery_codes"),
    }
    of_deleted = {mine.deleted} if table == "suspended_memberships" else {mine.workspace}
    own = {mine.user} if table in of_a_user else of_deleted
    assert await _holders(api, table) == own


async def test_a_member_sees_what_is_shared(api, act_as, owner, mine, foreign):
    """Membership is what opens a workspace, from the moment it exists and until it ends."""
    await _add_member(owner, user=mine.user, workspace=foreign.workspace, role="member")
    await act_as(mine.user)
    assert await _holders(api, "tasks") == {mine.workspace, foreign.workspace}
    await owner.execute(
        "DELETE FROM memberships WHERE user_id = $1 AND workspace_id = $2", mine.user, foreign.workspace
    )
    assert await _holders(api, "tasks") == {mine.workspace}


_CHANGES = {
    "update": "UPDATE tasks SET title = 'Taken' WHERE id = $1",
    "delete": "DELETE FROM tasks WHERE id = $1",
}


@pytest.mark.parametrize("change", _CHANGES)
async def test_a_foreign_task_cannot_be_changed(api, act_as, mine, foreign, change):
    """An id is no key: changing a foreign task finds no row."""
    await act_as(mine.user)
    assert (await api.execute(_CHANGES[change], foreign.task)).endswith(" 0")
    assert (await api.execute(_CHANGES[change], mine.task)).endswith(" 1")


_INSERTS = {
    "tasks": "INSERT INTO tasks (workspace_id, title, created_by) VALUES ($1, 'Planted', $2)",
    "deleted_tasks": "INSERT INTO deleted_tasks (id, workspace_id, priority, position, created_at, updated_at)"
    " VALUES ($2, $1, 5, 1, now(), now())",
    "events": "INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data)"
    " VALUES ($1, 'task.created', $2, $2, '{}', '{}')",
    "memberships": "INSERT INTO memberships (workspace_id, user_id, role) VALUES ($1, $2, 'owner')",
}


@pytest.mark.parametrize("table", _INSERTS)
async def test_nothing_is_planted_in_a_foreign_workspace(api, act_as, mine, foreign, table):
    """Rows cannot be written into a workspace that the actor does not belong to, membership of it included."""
    await act_as(mine.user)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await api.execute(_INSERTS[table], foreign.workspace, mine.user)


async def test_a_founder_who_was_removed_is_a_stranger(api, act_as, owner, mine, foreign):
    """While others belong to the workspace its founder neither sees it nor joins it again; while nobody does, both."""
    await _add_member(owner, user=foreign.user, workspace=mine.workspace, role="owner")
    await owner.execute("DELETE FROM memberships WHERE user_id = $1", mine.user)
    await act_as(mine.user)
    assert await _holders(api, "workspaces") == set()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await api.execute(_INSERTS["memberships"], mine.workspace, mine.user)
    await owner.execute("DELETE FROM memberships WHERE workspace_id = $1", mine.workspace)
    assert await _holders(api, "workspaces") == {mine.workspace}
    await api.execute(_INSERTS["memberships"], mine.workspace, mine.user)


async def test_a_task_is_created_in_ones_own_name(api, act_as, mine, foreign):
    """Nobody writes a task that says another created it."""
    await act_as(mine.user)
    await api.execute(_INSERTS["tasks"], mine.workspace, mine.user)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await api.execute(_INSERTS["tasks"], mine.workspace, foreign.user)


async def test_a_comment_is_its_authors(api, act_as, owner, mine, foreign):
    """A member comments in the own name, deletes no comment of another, and changes none; a stranger writes none."""
    insert = "INSERT INTO comments (task_id, workspace_id, author_id, body) VALUES ($1, $2, $3, 'Planted')"
    refused = pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security")
    await act_as(mine.user)
    with refused:
        await api.execute(insert, foreign.task, foreign.workspace, mine.user)
    await _add_member(owner, user=mine.user, workspace=foreign.workspace, role="member")
    with refused:
        await api.execute(insert, foreign.task, foreign.workspace, foreign.user)
    await api.execute(insert, foreign.task, foreign.workspace, mine.user)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await api.execute("UPDATE comments SET body = 'Changed'")
    delete = "DELETE FROM comments WHERE workspace_id = $1 AND author_id = $2"
    assert await api.execute(delete, foreign.workspace, foreign.user) == "DELETE 0"
    assert await api.execute(delete, foreign.workspace, mine.user) == "DELETE 1"


async def test_a_subscription_is_ones_own(api, act_as, owner, mine, foreign):
    """Nobody lets another user watch or mute a task, nor follows one of a workspace that they do not belong to."""
    insert = "INSERT INTO task_subscriptions (task_id, workspace_id, user_id, state) VALUES ($1, $2, $3, 'muted')"
    await owner.execute("DELETE FROM task_subscriptions")
    await act_as(mine.user)
    for task, user in ((foreign.task, mine.user), (mine.task, foreign.user)):
        workspace = foreign.workspace if task == foreign.task else mine.workspace
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await api.execute(insert, task, workspace, user)
    await api.execute(insert, mine.task, mine.workspace, mine.user)
    assert await api.fetchval("SELECT count(*) FROM task_subscriptions") == 1
    await act_as(foreign.user)
    assert await api.fetchval("SELECT count(*) FROM task_subscriptions") == 0


async def test_who_belongs_to_a_workspace_is_told_to_its_members(api, act_as, database, mine, foreign):
    """`audience` tells a stranger and nobody in particular nothing; the sweeper, which acts for nobody, is told."""
    ask = "SELECT taskbell.audience($1, ARRAY[$2::uuid])", foreign.workspace, foreign.user
    for actor, told in ((None, []), (mine.user, []), (foreign.user, [foreign.user])):
        await act_as(actor)
        assert await api.fetchval(*ask) == told
    async with db.connected(database.sweeper_url) as sweeper:
        assert await sweeper.fetchval(*ask) == [foreign.user]


async def test_a_person_is_not_removed_from_their_personal_workspace(api, act_as, owner, mine, foreign):
    """Neither by another owner nor by themselves; the other owner may go."""
    await _add_member(owner, user=foreign.user, workspace=mine.workspace, role="owner")
    remove = "DELETE FROM memberships WHERE user_id = $1 AND workspace_id = $2"
    for actor in (foreign.user, mine.user):
        await act_as(actor)
        assert await api.execute(remove, mine.user, mine.workspace) == "DELETE 0"
    assert await api.execute(remove, foreign.user, mine.workspace) == "DELETE 1"


async def test_a_task_cannot_be_moved_to_a_foreign_workspace(api, act_as, mine, foreign):
    """Nor can an own row be turned into a foreign one."""
    await act_as(mine.user)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await api.execute("UPDATE tasks SET workspace_id = $1 WHERE id = $2", foreign.workspace, mine.task)


@pytest.mark.feature("P4")
async def test_a_viewer_reads_and_changes_nothing(api, act_as, owner, mine, foreign):
    """The role viewer sees the workspace's tasks; create, change and delete are refused by the database."""
    await _add_member(owner, user=mine.user, workspace=foreign.workspace, role="viewer")
    await act_as(mine.user)
    assert await api.fetchval("SELECT title FROM tasks WHERE id = $1", foreign.task) == "Secret"
    for change in _CHANGES.values():
        assert (await api.execute(change, foreign.task)).endswith(" 0")
    for table in ("tasks", "deleted_tasks", "events"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await api.execute(_INSERTS[table], foreign.workspace, mine.user)


_EVENT = (
    "INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data) VALUES ($1, $2, $3, $4, $5, '{}')"
)


@pytest.mark.parametrize(
    ("role", "kind", "about", "audience", "allowed"),
    [
        ("member", "task.updated", "foreign", [], True),
        ("viewer", "task.updated", "foreign", [], False),
        ("member", "comment.created", "foreign", [], True),
        ("viewer", "comment.created", "foreign", [], False),
        ("viewer", "comment.deleted", "foreign", [], False),
        ("viewer", "notification.created", "foreign", ["foreign"], False),
        ("viewer", "notification.read", "foreign", ["mine"], True),
        ("viewer", "notification.read", "foreign", ["foreign"], False),
        ("admin", "member.added", "foreign", ["foreign"], False),
        ("viewer", "member.added", "mine", ["mine"], True),
        ("admin", "member.removed", "foreign", ["foreign"], True),
        ("member", "member.removed", "foreign", ["foreign"], False),
        ("member", "member.removed", "mine", ["mine"], True),
        ("admin", "member.role_changed", "foreign", ["foreign"], True),
        ("member", "member.role_changed", "foreign", ["foreign"], False),
        ("admin", "workspace.renamed", "foreign", ["foreign"], False),
        ("owner", "secret.invented", "foreign", [], False),
    ],
)
async def test_an_event_is_written_by_who_may_make_its_change(
    api, act_as, owner, mine, foreign, role, kind, about, audience, allowed
):
    """Each kind of event is for its roles, in the actor's own name, and never for another's eyes instead of theirs."""
    await _add_member(owner, user=mine.user, workspace=foreign.workspace, role=role)
    await act_as(mine.user)
    users = {"mine": mine.user, "foreign": foreign.user}
    about, audience = users[about], [users[name] for name in audience]
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await api.execute(_EVENT, foreign.workspace, kind, about, foreign.user, audience)
    if allowed:
        await api.execute(_EVENT, foreign.workspace, kind, about, mine.user, audience)
        return
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await api.execute(_EVENT, foreign.workspace, kind, about, mine.user, audience)


async def test_an_actor_ends_with_its_transaction(api, mine):
    """What a pooled connection did for one user it does not remember for the next."""
    async with api.transaction():
        await api.execute("SELECT set_config('taskbell.actor', $1, true)", str(mine.user))
        assert await api.fetchval("SELECT count(*) FROM tasks") == 1
    assert await api.fetchval("SELECT count(*) FROM tasks") == 0


@pytest.mark.parametrize("table", _OF_A_TENANT)
async def test_security_is_on_and_forced(owner, table):
    """No tenant table is without row-level security, and its owner is not exempt: a new table without it fails here."""
    row = await owner.fetchrow(
        "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = $1::regclass", table
    )
    assert tuple(row) == (True, True)


async def test_every_table_of_the_database_is_known_here(owner):
    """A table that the models do not describe, or that nobody decided about, cannot slip in."""
    tables = await owner.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND relname <> 'alembic_version'"
    )
    assert {row[0] for row in tables} == {*_OF_A_TENANT, *_WITHOUT_TENANT}


async def test_a_partition_cannot_be_read_past_its_table(api, owner, act_as, mine):
    """The API has no right to any partition by name, which would pass by the table's policies."""
    await act_as(mine.user)
    partitions = await owner.fetch("SELECT oid::regclass::text FROM pg_class WHERE relispartition AND relkind = 'r'")
    assert len(partitions) >= 2
    for row in partitions:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await api.fetch(f"SELECT 1 FROM {row[0]}")


@pytest.mark.parametrize("role", ["api", "sweeper", "relay", "gateway"])
async def test_no_service_can_pass_by_security(database, role):
    """The services' roles are no superusers, own no table, cannot bypass row-level security nor create anything."""
    async with db.connected(getattr(database, f"{role}_url")) as connection:
        row = await connection.fetchrow("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert tuple(row) == (False, False)
        assert not await connection.fetchval(
            "SELECT count(*) FROM pg_class WHERE relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)"
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE public.mine ()")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("ALTER TABLE tasks DISABLE ROW LEVEL SECURITY")


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("relay", {"events", "relay_state", "report_state", "workspace_usage"}),
        ("sweeper", {"reminders", "job_log"}),
        ("gateway", {"memberships"}),
        (
            "delivery",
            {
                "webhooks",
                "email_channels",
                "deliveries",
                "alert_endpoints",
                "alert_preferences",
                "provider_tokens",
            },
        ),
        # Of personal tokens it reads all columns but the hash.
        ("api", {*_OF_A_TENANT, "login_attempts", "used_sign_ins", "report_state"} - {"personal_tokens"}),
    ],
)
async def test_a_role_reads_only_what_its_work_needs(owner, role, allowed):
    """Least privilege: each service reads its own tables and no other."""
    readable = await owner.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND relname <> 'alembic_version' AND has_table_privilege($1, oid, 'SELECT')",
        f"taskbell_{role}",
    )
    assert {row[0] for row in readable} == allowed


async def test_the_sweeper_sees_of_tasks_and_users_only_what_it_tells(owner):
    """Besides its own tables: nine columns of tasks, no description, four of users, which workspaces are deleted."""
    columns = await owner.fetch(
        "SELECT attrelid::regclass::text AS relation, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped"
        " AND relname NOT IN ('reminders', 'job_log', 'alembic_version')"
        " AND has_column_privilege('taskbell_sweeper', attrelid, attname, 'SELECT')"
    )
    told = {"id", "workspace_id", "title", "status", "status_changed_at", "priority", "due_at"}
    seen = {*told, "assignee_ids", "created_by"}
    assert {tuple(row) for row in columns} == {
        *(("tasks", column) for column in seen),
        *(("users", column) for column in ("id", "digest_at", "time_zone", "personal_workspace_id")),
        ("workspaces", "id"),
        ("workspaces", "restorable_until"),
    }


_ADDRESSED = ("id", "email", "email_confirmed_at", "time_zone", "quiet_from", "quiet_until")
_DELIVERED = ("id", "workspace_id", "type", "subject_id", "actor_id", "traceparent", "created_at", "data")


async def test_the_delivery_worker_sees_of_a_user_only_the_address(owner):
    """Besides its own tables it may only read events, when a user may be alerted where, and disable webhooks."""
    columns = await owner.fetch(
        "SELECT c.relname, a.attname, p.privilege FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE')) AS p (privilege)"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0"
        " AND NOT a.attisdropped AND c.relname NOT IN ('deliveries', 'provider_tokens', 'alembic_version')"
        " AND has_column_privilege('taskbell_delivery', a.attrelid, a.attname, p.privilege)"
        " AND NOT (p.privilege = 'SELECT'"
        " AND c.relname IN ('webhooks', 'email_channels', 'alert_endpoints', 'alert_preferences'))"
    )
    assert {tuple(row) for row in columns} == {
        *(("events", column, "SELECT") for column in _DELIVERED),
        *(("invitations", column, "SELECT") for column in ("id", "email", "expires_at", "withdrawn_at")),
        ("invitation_letters", "id", "SELECT"),
        ("invitation_letters", "invitation_id", "SELECT"),
        ("notifications", "id", "SELECT"),
        ("notifications", "read_at", "SELECT"),
        *(("users", column, "SELECT") for column in _ADDRESSED),
        ("webhooks", "enabled", "UPDATE"),
        ("webhooks", "disabled_reason", "UPDATE"),
        ("webhooks", "updated_at", "UPDATE"),
    }


@pytest.mark.feature("P21")
async def test_one_service_alone_writes_tasks(owner):
    """Of all services' roles the API's alone may create, change or delete a task, in whatever column."""
    writers = await owner.fetch(
        "SELECT DISTINCT rolname FROM pg_roles WHERE rolname LIKE 'taskbell_%' AND rolname <> 'taskbell_owner'"
        " AND (has_any_column_privilege(oid, 'tasks', 'INSERT, UPDATE') OR has_table_privilege(oid, 'tasks', 'DELETE'))"
    )
    assert [row[0] for row in writers] == ["taskbell_api"]


@pytest.mark.feature("P22")
async def test_the_gateway_writes_nothing(owner):
    """The real-time gateway's role has no right to write any table."""
    writable = await owner.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND has_table_privilege('taskbell_gateway', oid, 'INSERT, UPDATE, DELETE, TRUNCATE')"
    )
    assert writable == []


async def test_look_ups_before_sign_in_tell_one_row(api, mine, foreign):
    """Without an actor the API can find an account by its whole e-mail address, and nothing by a part of it."""
    found = await api.fetch("SELECT id FROM taskbell.account_by_email($1)", f"{mine.user}@EXAMPLE.com")
    assert [row[0] for row in found] == [mine.user]
    assert await api.fetch("SELECT id FROM taskbell.account_by_email('%')") == []
