"""What the functions of alerts do for whoever calls them, and that there is no way around them."""

import hashlib
from uuid import uuid4

import asyncpg
import pytest

from taskbell.local import db

pytestmark = pytest.mark.feature("M33")

_REGISTER = "SELECT id, user_id FROM taskbell.register_endpoint($1, $2, $3, NULL, NULL, NULL, NULL)"


@pytest.fixture
async def people(database):
    """The ids of two users."""
    ids = [uuid4(), uuid4()]
    async with db.connected(database.owner_url) as owner:
        for user in ids:
            await owner.execute(
                "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, $2, 'Somebody', $1)",
                user,
                f"{user}@example.com",
            )
    return ids


@pytest.fixture
async def api(database):
    """A connection as the API."""
    async with db.connected(database.api_url) as connection:
        yield connection


async def _act(api, user):
    await api.execute("SELECT set_config('taskbell.actor', $1, false)", str(user) if user else "")


async def test_an_address_is_registered_for_the_actor_alone(api, people):
    """Without an actor nothing is; the next actor takes a device over, but not the address of a chat."""
    assert await api.fetch(_REGISTER, uuid4(), "fcm", "a") == []
    for kind, owners in (("fcm", [0, 1]), ("slack", [1, 1])):
        ids = [uuid4(), uuid4()]
        for user, identifier in zip(people, ids, strict=True):
            await _act(api, user)
            assert [tuple(row) for row in await api.fetch(_REGISTER, identifier, kind, "a")] == [(identifier, user)]
        for user, rows in zip(people, owners, strict=True):
            await _act(api, user)
            assert await api.fetchval("SELECT count(*) FROM alert_endpoints WHERE kind = $1", kind) == rows


async def test_rows_are_made_by_the_function_alone(api, people):
    """The API may not write an address past it, nor change whose it is or where it leads."""
    await _act(api, people[0])
    for statement in (
        "INSERT INTO alert_endpoints (id, user_id, kind, address, address_hash) VALUES ($1, $1, 'fcm', 'a', $2)",
        "UPDATE alert_endpoints SET user_id = $1, address_hash = $2",
        "UPDATE alert_endpoints SET id = $1, address_hash = $2, address = 'b'",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.execute(statement, people[0], hashlib.sha256(b"a").digest())


async def test_preferences_are_written_for_oneself(api, people):
    """A row for another user is refused."""
    await _act(api, people[0])
    statement = "INSERT INTO alert_preferences VALUES ($1, $1, '*', '*', false)"
    await api.execute(statement, people[0])
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await api.execute(statement, people[1])


@pytest.mark.parametrize("role", ["relay", "sweeper", "gateway", "delivery"])
async def test_only_the_api_registers_and_unsubscribes(database, role):
    """No other program may call the functions that act without looking at rows' owners."""
    async with db.connected(getattr(database, f"{role}_url")) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT taskbell.unsubscribe(gen_random_uuid())")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(_REGISTER, uuid4(), "fcm", "a")
