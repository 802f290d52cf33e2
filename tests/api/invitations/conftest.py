"""A workspace whose owner invites."""

import pytest

from taskbell.local import db


class Garden:
    """A workspace of `ann`, who invites; calls on it and on the invitations to others."""

    def __init__(self, api, ann, workspace_id):
        self._api, self.ann, self.id = api, ann, workspace_id
        self.path = f"/v1/workspaces/{workspace_id}"

    async def invite(self, email, role="member", *, by=None):
        """Call to invite an address."""
        body = {"email": email, "role": role}
        return await self._api.post(f"{self.path}/members", json=body, headers=(by or self.ann).headers)

    async def listed(self, *, by=None, **query):
        """The invitations, as an administrator sees them."""
        answer = await self._api.get(f"{self.path}/invitations", params=query, headers=(by or self.ann).headers)
        return answer.json()["items"] if answer.status_code == 200 else answer.status_code

    async def withdraw(self, invitation, *, by=None):
        """Call to withdraw one."""
        path = f"{self.path}/invitations/{invitation['id']}"
        return (await self._api.delete(path, headers=(by or self.ann).headers)).status_code

    async def answer(self, invitation, how, *, by):
        """Call to accept or decline one."""
        return await self._api.post(f"/v1/invitations/{invitation['id']}/{how}", headers=by.headers)

    async def found(self, path, *, by):
        """The items of one of a person's own lists."""
        return (await self._api.get(f"/v1/{path}", headers=by.headers)).json()["items"]


@pytest.fixture
async def ann(sign_up):
    """The owner of a workspace."""
    return await sign_up(email="ann@example.com", name="Ann")


@pytest.fixture
async def bob(sign_up):
    """Somebody who is invited."""
    return await sign_up(email="bob@example.com", name="Bob")


@pytest.fixture
def found_garden(api):
    """Founds workspaces."""

    async def found(owner):
        answer = await api.post("/v1/workspaces", json={"name": "Garden"}, headers=owner.headers)
        assert answer.status_code == 201, answer.text
        return Garden(api, owner, answer.json()["id"])

    return found


@pytest.fixture
async def garden(found_garden, ann):
    """Ann's workspace."""
    return await found_garden(ann)


@pytest.fixture
async def rows(database):
    """Reads rows as the schema's owner."""
    async with db.connected(database.owner_url) as connection:
        yield connection.fetch
