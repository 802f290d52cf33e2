"""Workspaces are founded, listed and read by those who belong to them."""

import json
from uuid import uuid4

import asyncpg
import pytest

from joining import join


async def test_everybody_has_a_personal_workspace(api, sign_up):
    """A new account belongs to one workspace and owns it."""
    ann = await sign_up()
    found = (await api.get("/v1/workspaces", headers=ann.headers)).json()
    assert found["meta"] == {"limit": 100, "has_more": False, "next_cursor": None}
    assert [(each["id"], each["role"]) for each in found["items"]] == [(ann.workspace_id, "owner")]


async def test_founding_a_workspace(api, sign_up):
    """The founder owns it, sees it in the list, and may create tasks there at once."""
    ann = await sign_up()
    answer = await api.post("/v1/workspaces", json={"name": " Garden "}, headers=ann.headers)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["name"], made["role"]) == ("Garden", "owner")
    assert (await api.get(f"/v1/workspaces/{made['id']}", headers=ann.headers)).json() == made
    assert made in (await api.get("/v1/workspaces", headers=ann.headers)).json()["items"]
    task = {"title": "Dig", "workspace_id": made["id"]}
    assert (await api.post("/v1/tasks", json=task, headers=ann.headers)).status_code == 201


@pytest.mark.feature("M35")
@pytest.mark.parametrize("name", ["", " ", "x" * 256, "a\x00b", None, 7])
async def test_a_bad_name_is_refused(api, sign_up, name):
    """A name is text of 1 to 255 characters."""
    ann = await sign_up()
    assert (await api.post("/v1/workspaces", json={"name": name}, headers=ann.headers)).status_code == 422


@pytest.mark.feature("M33")
async def test_a_foreign_workspace_does_not_exist(api, sign_up):
    """Read, members, add and remove: a stranger gets a 404, as for an unknown id."""
    ann, bob = await sign_up(), await sign_up()
    for identity in (bob.workspace_id, uuid4()):
        path = f"/v1/workspaces/{identity}"
        answers = [
            await api.get(path, headers=ann.headers),
            await api.get(f"{path}/members", headers=ann.headers),
            await api.post(f"{path}/members", json={"email": ann.email, "role": "owner"}, headers=ann.headers),
            await api.delete(f"{path}/members/{bob.user_id}", headers=ann.headers),
        ]
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 4


@pytest.mark.feature("H6", "H8")
async def test_paging_gives_each_once(api, sign_up):
    """Following the cursor yields every workspace once, oldest first."""
    ann = await sign_up()
    made = [ann.workspace_id]
    for number in range(5):
        answer = await api.post("/v1/workspaces", json={"name": f"W{number}"}, headers=ann.headers)
        made.append(answer.json()["id"])
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/v1/workspaces", params=query, headers=ann.headers)).json()
        assert len(page["items"]) == 2
        seen += [each["id"] for each in page["items"]]
        cursor = page["meta"]["next_cursor"]
        assert page["meta"]["has_more"] == (cursor is not None)
        if cursor is None:
            break
    assert seen == made


@pytest.mark.feature("M7", "M35")
@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"limit": 0}, 422, "validation_failed"),
        ({"limit": 1001}, 422, "validation_failed"),
        ({"limit": 10**9}, 422, "validation_failed"),
        ({"limit": "9" * 5000}, 422, "validation_failed"),
        ({"limit": "many"}, 422, "validation_failed"),
        ({"cursor": "x"}, 400, "invalid_cursor"),
        ({"cursor": "ü"}, 400, "invalid_cursor"),
        ({"cursor": "A" * 32}, 400, "invalid_cursor"),
        ({"cursor": "A" * 600}, 422, "validation_failed"),
    ],
)
async def test_bad_paging_is_refused(api, sign_up, query, status, code):
    """A limit out of bounds and a cursor of nowhere have their stable codes."""
    ann = await sign_up()
    for path in ("/v1/workspaces", f"/v1/workspaces/{ann.workspace_id}/members"):
        answer = await api.get(path, params=query, headers=ann.headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("role", ["owner", "admin", "member", "viewer"])
async def test_owners_and_admins_rename_a_workspace(api, sign_up, database, role):
    """The new name is told by an event with the former one; others get a 403, strangers a 404."""
    owner, other, stranger = await sign_up(), await sign_up(), await sign_up()
    workspace = (await api.post("/v1/workspaces", json={"name": "Garden"}, headers=owner.headers)).json()["id"]
    path = f"/v1/workspaces/{workspace}"
    actor = owner
    if role != "owner":
        await join(api, owner, other, workspace_id=workspace, role=role)
        actor = other
    answer = await api.patch(path, json={"name": "Park"}, headers=actor.headers)
    allowed = role in {"owner", "admin"}
    assert answer.status_code == (200 if allowed else 403)
    assert (await api.patch(path, json={"name": "Mine"}, headers=stranger.headers)).status_code == 404
    assert (await api.get(path, headers=owner.headers)).json()["name"] == ("Park" if allowed else "Garden")
    await api.patch(path, json={"name": "Park"}, headers=owner.headers)
    connection = await asyncpg.connect(database.superuser_url)
    rows = await connection.fetch("SELECT subject_id, data FROM events WHERE type = 'workspace.renamed'")
    await connection.close()
    assert [(str(row["subject_id"]), json.loads(row["data"])) for row in rows] == [
        (workspace, {"id": workspace, "name": "Park", "previous": {"name": "Garden"}})
    ]
