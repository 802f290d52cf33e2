"""A person gets everything that is kept about them, nothing of others, and no secret."""

import json
from collections import Counter
from uuid import UUID

import pytest

from joining import join
from taskbell.api.data_exports import repository
from taskbell.api.data_exports.repository import LINES_AT_ONCE, SECTIONS
from taskbell.local import db
from taskbell.store.models import Model

EXPORT = "/v1/me/export"


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner, who sees every row."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.fixture
def call(api):
    """Calls a path under `/v1` on behalf of an account, and expects a status."""

    async def request(account, method, path, *, status, **sent):
        answer = await api.request(method, f"/v1{path}", headers=account.headers, **sent)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    return request


@pytest.fixture
def export(api):
    """The lines of an account's export, by their kind."""

    async def read(account):
        answer = await api.get(EXPORT, headers=account.headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        assert answer.headers["cache-control"] == "no-store"
        *lines, end = [json.loads(line) for line in answer.text.splitlines()]
        assert end == {"kind": "end"}
        found = {}
        for line in lines:
            found.setdefault(line["kind"], []).append(line["data"])
        return found

    return read


_NOT_EXPORTED = {
    "refresh_tokens.user_id": "secrets; their session tells when it was used",
    "suspended_memberships.user_id": "of a deleted workspace, which is hidden; restored, it is a membership again",
}
"""Columns that refer to a user and are in no line, each with the reason."""


def test_each_table_of_a_user_is_exported():
    """A new table that refers to users is in the export, or in the list above."""
    people = {"users.id", "second_factors.user_id"}
    referring = {
        f"{table.name}.{key.parent.name}"
        for table in Model.metadata.sorted_tables
        for key in table.foreign_keys
        if key.target_fullname in people
    }
    covered = [column for section in SECTIONS.values() for column in section.covers]
    assert max(Counter(covered).values()) == 1
    assert {*covered, *_NOT_EXPORTED} == referring


async def test_everything_of_a_person_is_in_it(api, call, export, sign_up, owner):
    """A line for each thing that Ann has, and no secret of any of them."""
    ann, bob = await sign_up(name="Ann"), await sign_up(name="Bob")
    team = await call(bob, "POST", "/workspaces", status=201, json={"name": "Garden"})
    await join(api, bob, ann, workspace_id=team["id"], role="admin")
    await owner.execute("UPDATE users SET email_confirmed_at = now() WHERE id = $1", UUID(ann.user_id))
    due = "2099-01-01T00:00:00Z"
    task = {"title": "Rake", "workspace_id": team["id"], "due_at": due, "assignee_ids": [ann.user_id]}
    raked = await call(ann, "POST", "/tasks", status=201, json=task)
    foreign = await call(bob, "POST", "/tasks", status=201, json={"title": "Bob's", "workspace_id": team["id"]})
    comment = await call(ann, "POST", f"/tasks/{foreign['id']}/comments", status=201, json={"body": "Mine"})
    await call(bob, "POST", f"/tasks/{raked['id']}/comments", status=201, json={"body": "Not hers"})
    await call(ann, "PUT", f"/tasks/{foreign['id']}/subscription", status=200, json={"state": "watching"})
    hook = {"workspace_id": team["id"], "url": "https://a.example/hook", "event_types": ["*"]}
    secrets = [(await call(ann, "POST", "/webhooks", status=201, json=hook))["secret"]]
    secrets.append("device-token" * 3)
    await call(ann, "POST", "/devices", status=201, json={"kind": "fcm", "token": secrets[-1], "name": "Phone"})
    made = await call(ann, "POST", "/tokens", status=201, json={"name": "Report", "scopes": ["tasks:read"]})
    secrets += [made["token"], ann.refresh_token, ann.access_token]
    await call(ann, "POST", "/me/email", status=202, json={"email": "new@example.com", "password": ann.password})
    await api.post("/v1/auth/password-reset", json={"email": ann.email})
    await call(ann, "PUT", "/me/channels/email", status=200, json={"enabled": True, "kinds": ["*"]})
    invited = {"email": "guest@example.com", "role": "member"}
    await call(ann, "POST", f"/workspaces/{team['id']}/members", status=201, json=invited)
    hashes = await owner.fetch("SELECT password_hash FROM users WHERE password_hash IS NOT NULL")
    secrets += [row["password_hash"] for row in hashes]

    found = await export(ann)
    assert set(found) == set(SECTIONS)
    (profile,) = found["profile"]
    assert (profile["email"], profile["name"], profile["has_password"]) == (ann.email, "Ann", True)
    assert profile["email_channel"]["enabled"]
    (exported,) = found["task"]
    assert (exported["task"]["id"], len(exported["reminders"])) == (raked["id"], 3)
    assert found["comment"] == [comment]
    assert found["assignment"] == [{"task_id": raked["id"], "workspace_id": team["id"]}]
    assert [each["name"] for each in found["membership"]] == ["Personal", "Garden"]
    assert [each["email"] for each in found["invitation"]] == ["guest@example.com"]
    assert {each["kind"] for each in found["notification"]} == {"invited", "comment"}
    text = json.dumps(found)
    assert [secret for secret in secrets if secret in text] == []
    assert "Not hers" not in json.dumps(found["comment"])
    assert foreign["title"] not in json.dumps(found["task"])


async def test_a_stranger_gets_nothing_of_it(call, export, sign_up):
    """Of another account's things no line has anything."""
    ann, eve = await sign_up(), await sign_up()
    await call(ann, "POST", "/tasks", status=201, json={"title": "Secret"})
    found = await export(eve)
    assert set(found) == {"profile", "session", "membership"}
    assert ann.user_id not in json.dumps(found)


async def test_pages_end_nowhere_in_between(export, sign_up, owner):
    """Each row once, also where many have the same time, and where pages end at the last row."""
    ann = await sign_up()
    for number in (2 * LINES_AT_ONCE, 1):
        await owner.execute(
            "INSERT INTO tasks (workspace_id, title, created_by, created_at)"
            " SELECT $1, 'T', $2, now() FROM generate_series(1, $3)",
            *(UUID(ann.workspace_id), UUID(ann.user_id), number),
        )
        await owner.execute(
            "INSERT INTO comments (task_id, workspace_id, author_id, body)"
            " SELECT t.id, t.workspace_id, t.created_by, 'C' FROM tasks t, generate_series(1, 2)"
            " WHERE NOT EXISTS (SELECT FROM comments c WHERE c.task_id = t.id)"
        )
        found = await export(ann)
        for kind, table in (("task", "tasks"), ("comment", "comments")):
            ids = [each.get("task", each)["id"] for each in found[kind]]
            assert len(ids) == len(set(ids)) == await owner.fetchval(f"SELECT count(*) FROM {table}")


@pytest.mark.parametrize("kind", ["task", "assignment", "notification"])
async def test_a_page_in_the_middle_reads_few_rows(sign_up, owner, database, kind):
    """Not all that come before it: an export of a million lines reads each of them once."""
    ann = await sign_up()
    user, workspace = UUID(ann.user_id), UUID(ann.workspace_id)
    await owner.execute(
        "INSERT INTO tasks (workspace_id, title, created_by, assignee_ids, created_at)"
        " SELECT $1, 'T', $2, ARRAY[$2::uuid], now() - interval '1 s' * n FROM generate_series(1, 3000) n",
        *(workspace, user),
    )
    await owner.execute(
        "INSERT INTO notifications (user_id, kind, workspace_id, title, body)"
        " SELECT $1, 'due_soon', $2, 'T', 'B' FROM generate_series(1, 3000)",
        *(user, workspace),
    )
    await owner.execute("ANALYZE")
    middle = await owner.fetchrow(
        "SELECT id, created_at::text AS key FROM tasks ORDER BY created_at OFFSET 1500 LIMIT 1"
    )
    if kind == "notification":
        middle = await owner.fetchrow("SELECT id, '' AS key FROM notifications ORDER BY id OFFSET 1500 LIMIT 1")
    section = repository.SECTIONS[kind]
    named = repository.arguments(section, repository.Place(middle["key"], middle["id"]))
    written = ", ".join(f"'{value}'" for value in section.statement.arguments(named))
    async with db.connected(database.api_url) as connection, connection.transaction():
        await connection.execute("SELECT set_config('taskbell.actor', $1, true)", ann.user_id)
        await connection.execute(f"PREPARE hot AS {section.statement.text}")
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) EXECUTE hot({written})")
    nodes = [json.loads(text)[0]["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", ())
        assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= LINES_AT_ONCE, node


async def test_few_exports_in_a_while(api, sign_up):
    """The sixth within 15 minutes must wait; other requests go on."""
    ann = await sign_up()
    answers = [(await api.get(EXPORT, headers=ann.headers)) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert (await api.get("/v1/me", headers=ann.headers)).status_code == 200


async def test_a_personal_token_exports_nothing(api, call, sign_up):
    """Whatever its scopes: a token that was stolen does not take everything at once."""
    ann = await sign_up()
    made = await call(ann, "POST", "/tokens", status=201, json={"name": "p", "scopes": ["profile:read", "tasks:read"]})
    answer = await api.get(EXPORT, headers={"Authorization": f"Bearer {made['token']}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "session_required")
