"""People with tasks: accounts that call the API, and what the schema's owner sees of the rows behind it."""

import dataclasses
import itertools

import httpx
import pytest

from taskbell.local import db

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Person:
    """A signed-in account; `request` and the shorthands call the API on its behalf."""

    api: httpx.AsyncClient
    user_id: str
    workspace_id: str
    authorization: dict

    async def request(self, method, path, *, headers=None, **sent):
        """Call a path under `/v1`."""
        return await self.api.request(method, f"/v1{path}", headers=self.authorization | (headers or {}), **sent)

    async def create(self, title="A task", **fields):
        """Create a task and return its document."""
        answer = await self.request("POST", "/tasks", json={"title": title} | fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def get(self, task_id):
        """Read a task that is there."""
        answer = await self.request("GET", f"/tasks/{task_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def page(self, path="/tasks", **params):
        """Read one page of a list."""
        answer = await self.request("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def everything(self, path="/tasks", *, limits=(1000,), **params):
        """Read a list to its end, page by page; `limits` are taken in turns."""
        found, cursor, turns = [], "", itertools.cycle(limits)
        while cursor is not None:
            limit = next(turns)
            here = await self.page(path, limit=limit, **params, **({"cursor": cursor} if cursor else {}))
            found += here["items"]
            cursor = here["meta"]["next_cursor"]
            assert here["meta"] == {"limit": limit, "has_more": cursor is not None, "next_cursor": cursor}
            assert len(here["items"]) <= limit
        return found


@pytest.fixture
def person(api, sign_up):
    """Makes people, each in a call."""

    async def make():
        account = await sign_up()
        return Person(
            api=api, user_id=account.user_id, workspace_id=account.workspace_id, authorization=account.headers
        )

    return make


@pytest.fixture
async def ann(person):
    """A person."""
    return await person()


@pytest.fixture
async def bob(person):
    """Another person, who has nothing to do with the first."""
    return await person()


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner, who sees and may write every row."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.fixture
def join(owner):
    """Makes a person a member of another's personal workspace, in a role."""

    async def add(newcomer, host, role):
        await owner.execute(
            "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, $3)",
            newcomer.user_id,
            host.workspace_id,
            role,
        )

    return add


@pytest.fixture
def events(owner):
    """Reads the events about a task in their order, or about all tasks."""

    async def read(task_id=None):
        return await owner.fetch(
            "SELECT *, data::text AS text FROM events"
            " WHERE type LIKE 'task.%' AND ($1::uuid IS NULL OR subject_id = $1) ORDER BY id",
            task_id,
        )

    return read


@pytest.fixture
def problem():
    """Checks that an answer is a problem document of a code and returns it."""

    def check(answer, status, code):
        assert answer.headers["content-type"] == "application/problem+json", answer.text[:500]
        found = answer.json()
        assert (answer.status_code, found["status"], found["code"]) == (status, status, code), answer.text[:500]
        assert found["type"] == f"https://taskbell.dev/problems/{code}"
        assert found["title"]
        assert found["detail"]
        assert found["request_id"] == answer.headers["x-request-id"]
        return found

    return check
