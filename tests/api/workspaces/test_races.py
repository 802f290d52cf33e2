"""Who administers a workspace may lose that between two statements of one request."""

import asyncpg
import pytest

from joining import join
from taskbell.api.invitations import repository


@pytest.fixture
async def team(api, sign_up):
    """A workspace of an owner, a second owner, and a stranger."""
    people = {who: await sign_up(email=f"{who}@example.com") for who in ("owner", "second", "stranger")}
    answer = await api.post("/v1/workspaces", json={"name": "Team"}, headers=people["owner"].headers)
    await join(api, people["owner"], people["second"], workspace_id=answer.json()["id"], role="owner")
    return people, f"/v1/workspaces/{answer.json()['id']}"


_LOST = {
    "removed": ("DELETE FROM memberships WHERE user_id = $1 AND workspace_id = $2", 404, "not_found"),
    "demoted": (
        "UPDATE memberships SET role = 'viewer' WHERE user_id = $1 AND workspace_id = $2",
        403,
        "forbidden",
    ),
}


@pytest.mark.parametrize("change", _LOST)
@pytest.mark.parametrize("step", ["measure", "invite"])
async def test_an_actor_who_loses_the_right_in_between_is_refused(api, team, database, monkeypatch, change, step):
    """Removed or demoted right before a statement of the invitation: a refusal, never 500, and no half invitation."""
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
    answer = await api.post(f"{path}/members", json=body, headers=people["second"].headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    for whose, there in ((f"{path}/invitations", "owner"), ("/v1/invitations", "stranger")):
        assert (await api.get(whose, headers=people[there].headers)).json()["items"] == []
    assert (await api.get("/v1/notifications", headers=people["stranger"].headers)).json()["items"] == []
