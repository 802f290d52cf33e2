"""People whose names are found nowhere else, and who delete their accounts."""

import uuid

import pytest

from taskbell.kit.sealing import generate_sealing_keys
from taskbell.local import db
from taskbell.sweeper.maintenance import maintain
from taskbell.sweeper.repository import maintaining
from taskbell.sweeper.settings import RetentionSettings

DELETE = "/v1/me/delete"


@pytest.fixture
def overrides():
    """A key for second factors."""
    return {"second_factor_keys": generate_sealing_keys()}


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner, who sees every row."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.fixture
async def ann(sign_up):
    """Who is going to leave; her name and her address are found by one word."""
    word = uuid.uuid4().hex
    return await sign_up(email=f"{word}@example.com", name=f"Ann {word}")


@pytest.fixture
async def bob(sign_up):
    """Who stays."""
    return await sign_up(name="Bob")


@pytest.fixture
def call(api):
    """Calls a path under `/v1` on behalf of an account, and expects a status."""

    async def request(account, method, path, *, status, **sent):
        answer = await api.request(method, f"/v1{path}", headers=account.headers, **sent)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    return request


@pytest.fixture
def delete(api):
    """Deletes an account; returns the answer."""

    async def end(account, **body):
        return await api.post(DELETE, json={"password": account.password} | body, headers=account.headers)

    return end


@pytest.fixture
def maintenance(database):
    """Runs the maintenance; returns its report."""

    async def work():
        async with maintaining(database.owner_url) as maintained:
            return await maintain(maintained, RetentionSettings(database_url=database.owner_url))

    return work


@pytest.fixture
def found(owner):
    """The tables in which a word stands, whatever the column."""

    async def look(word):
        tables = await owner.fetch(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace IN ('public'::regnamespace, 'taskbell'::regnamespace)"
        )
        matching = "SELECT true FROM {} t WHERE t::text ILIKE $1 LIMIT 1"
        return {name for (name,) in tables if await owner.fetchval(matching.format(name), f"%{word}%")}

    return look
