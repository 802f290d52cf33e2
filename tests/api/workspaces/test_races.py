"""Who administers a workspace may lose that between two statements of one request."""

import asyncpg
import pytest

from taskbell.api.workspaces import repository


@pytest.fixture
async def team(api, sign_up):
    """A workspace of an owner, a second owner, and a stranger."""
    people = {who: await sign_up(email=f"{who}@example.com") for who in ("owner", "second", "stranger")}
    answer = await api.post("/v1/workspaces", json={"name": "Team"}, headers=people["owner"].headers)
    path = f"/v1/workspaces/{answer.json()['id']}/members"
    added = {"email": "second@example.com", "role": "owner"}
    assert (await api.post(path, json=added, headers=people["owner"].headers)).status_code == 201
    return people, path


_LOST = {
    "removed": ("DELETE FROM memberships WHERE user_id = $1 AND workspace_id = $2", 404, "not_found"),
    "demoted": (
        "UPDATE memberships SET role = 'viewer' WHERE user_id = $1 AND workspace_id = $2",
        403,
        "forbidden",
    ),
}


@pytest.mark.parametrize("change", _LOST)
@pytest.mark.parametrize("step", ["add_member", "get_member"])
async def test_an_actor_who_loses_the_right_in_between_is_refused(api, team, database, monkeypatch, change, step):
    """Removed or demoted right before a statement of the addition: a refusal, never 500, and no half addition."""
    people, path = team
    sql, status, code = _LOST[change]
    real = getattr(repository, step)

    async def too_late(*arguments, **named):
        connection = await asyncpg.connect(database.superuser_url)
        await connection.execute(sql, people["second"].user_id, path.split("/")[3])
        await connection.close()
        return await real(*arguments, **named)

    monkeypatch.setattr(repository, step, too_late)
    body = {"email": "stranger@example.com", "role": "member"}
    answer = await api.post(path, json=body, headers=people["second"].headers)
    if (change, step) == ("demoted", "get_member"):  # written already, and a viewer may read it
        assert answer.status_code == 201
        return
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    listed = (await api.get(path, headers=people["owner"].headers)).json()["items"]
    assert "stranger@example.com" not in {member["email"] for member in listed}
