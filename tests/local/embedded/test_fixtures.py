"""The fixtures every other test stands on."""

import asyncpg
import nats
import pytest

from taskbell.local import db


@pytest.mark.feature("H24")
async def test_the_servers_are_real(database, nats_url):
    """Behind the fixtures are PostgreSQL itself and a NATS server with JetStream, no stand-ins."""
    async with db.connected(database.owner_url) as connection:
        assert (await connection.fetchval("SELECT version()")).startswith("PostgreSQL ")
    client = await nats.connect(nats_url)
    assert client.connected_server_version.major >= 2
    assert (await client.jetstream().account_info()).limits is not None
    await client.close()


@pytest.mark.parametrize("attempt", range(3))
async def test_each_test_gets_a_fresh_database(database, attempt):
    """What one test leaves in its database no other test sees."""
    async with db.connected(database.owner_url) as connection:
        await connection.execute("CREATE TABLE left_behind (id int)")


async def test_a_role_signs_in_with_its_own_url_alone(database):
    """Every role has a login of its own and no password is known to be another."""
    for role in ("owner", "api", "relay", "gateway"):
        async with db.connected(getattr(database, f"{role}_url")) as connection:
            assert await connection.fetchval("SELECT current_user") == f"taskbell_{role}"
    with pytest.raises(asyncpg.InvalidPasswordError):
        async with db.connected(database.api_url.replace("taskbell_api:", "taskbell_api:wrong")):
            pass


@pytest.mark.parametrize("attempt", range(2))
async def test_each_test_gets_an_account_without_streams(nats_url, attempt):
    """A stream that one test makes is gone for the next, and no other worker ever sees it."""
    connection = await nats.connect(nats_url)
    streams = connection.jetstream()
    assert await streams.streams_info() == []
    await streams.add_stream(name="KEPT", subjects=["kept.>"])
    await connection.close()
