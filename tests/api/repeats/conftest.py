"""People who repeat their requests, and what the schema's owner sees of the answers that are kept."""

import dataclasses

import httpx
import pytest

from taskbell.local import db


@dataclasses.dataclass(frozen=True, kw_only=True)
class Person:
    """A signed-in account; `send` calls the API on its behalf with a key."""

    api: httpx.AsyncClient
    user_id: str
    workspace_id: str
    headers: dict

    async def send(self, key, path="/tasks", *, method="POST", headers=None, **sent):
        """Call a path under `/v1` with a key, or with none."""
        own = self.headers | ({} if key is None else {"Idempotency-Key": key}) | (headers or {})
        return await self.api.request(method, f"/v1{path}", headers=own, **sent)

    async def titles(self):
        """The titles of all tasks."""
        answer = await self.api.get("/v1/tasks", headers=self.headers)
        return [task["title"] for task in answer.json()["items"]]


@pytest.fixture
def person(api, sign_up):
    """Makes people, each in a call."""

    async def make():
        made = await sign_up()
        return Person(api=api, user_id=made.user_id, workspace_id=made.workspace_id, headers=made.headers)

    return make


@pytest.fixture
async def ann(person):
    """A person."""
    return await person()


@pytest.fixture
async def owner(database):
    """A connection of the schema's owner, which sees every row."""
    async with db.connected(database.owner_url) as connection:
        yield connection


def same(first, again):
    """Whether an answer is the first one, replayed: status, body, and the headers that mean something."""
    names = {"etag", "location", "content-type", "cache-control", "taskbell-consistency"}
    assert again.headers.get("idempotency-replayed") == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert {name: again.headers.get(name) for name in names} == {name: first.headers.get(name) for name in names}
    return True


@pytest.fixture(name="same")
def _same():
    return same
