"""People of one workspace who work on its tasks together: fixtures for a folder's conftest."""

import dataclasses
import json

import httpx
import pytest

from taskbell.local import db


@dataclasses.dataclass(frozen=True, kw_only=True)
class Person:
    """A signed-in account; `request` and the shorthands call the API on its behalf."""

    api: httpx.AsyncClient
    user_id: str
    email: str
    workspace_id: str
    authorization: dict

    async def request(self, method, path, *, status=None, **sent):
        """Call a path under `/v1`; with a status, expect it."""
        answer = await self.api.request(method, f"/v1{path}", headers=self.authorization, **sent)
        assert status in {None, answer.status_code}, answer.text
        return answer

    async def create(self, title="A task", **fields):
        """Create a task and return its document."""
        return (await self.request("POST", "/tasks", status=201, json={"title": title} | fields)).json()

    async def patch(self, task, **fields):
        """Change a task and return its document."""
        return (await self.request("PATCH", f"/tasks/{task['id']}", status=200, json=fields)).json()

    async def comment(self, task, body="A comment", **fields):
        """Comment on a task and return the comment."""
        path = f"/tasks/{task['id']}/comments"
        return (await self.request("POST", path, status=201, json={"body": body} | fields)).json()

    async def follow(self, task, state):
        """Watch or mute a task."""
        await self.request("PUT", f"/tasks/{task['id']}/subscription", status=200, json={"state": state})

    async def remind(self, task, **fields):
        """Remind those responsible for a task and return the answer."""
        return (await self.request("POST", f"/tasks/{task['id']}/remind", status=200, json=fields)).json()

    async def inbox(self, **params):
        """Read a page of the inbox."""
        return (await self.request("GET", "/notifications", status=200, params=params)).json()


@pytest.fixture
def person(sign_up, api):
    """Makes people, each in a call."""

    async def make():
        account = await sign_up()
        return Person(
            api=api,
            user_id=account.user_id,
            email=account.email,
            workspace_id=account.workspace_id,
            authorization=account.headers,
        )

    return make


@pytest.fixture
async def ann(person):
    """The owner of the workspace."""
    return await person()


@pytest.fixture
async def bob(owner, person, ann):
    """A member of Ann's workspace."""
    return await _joined(owner, ann, await person())


@pytest.fixture
async def cid(owner, person, ann):
    """Another member of Ann's workspace."""
    return await _joined(owner, ann, await person())


@pytest.fixture
async def dan(person):
    """A stranger to Ann's workspace."""
    return await person()


async def _joined(owner, host, newcomer):
    """Belonging without an invitation, which would be a notification."""
    await owner.execute(
        "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'member')",
        newcomer.user_id,
        host.workspace_id,
    )
    return newcomer


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner, who sees every row."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.fixture
def told(owner):
    """Reads all events, without those about members, in their order: type, audience and data."""

    async def read():
        rows = await owner.fetch(
            "SELECT type, audience::text[] AS audience, data::text AS data FROM events"
            " WHERE type NOT LIKE 'member.%' ORDER BY id"
        )
        return [(row["type"], set(row["audience"]), json.loads(row["data"])) for row in rows]

    return read
