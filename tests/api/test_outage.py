"""What callers are told while PostgreSQL is away, and that the API serves again by itself."""

import asyncpg
import pytest


@pytest.fixture
def overrides():
    """A pool whose connections are all made again within a few requests."""
    return {"database_pool_size": 2, "database_acquire_timeout": "PT5S"}


async def test_a_database_that_admits_nobody_more_is_unavailable(api, sign_up, database):
    """Without one connection to be had every request is answered 503 `unavailable`; with one again, 200."""
    ann = await sign_up()
    superuser = await asyncpg.connect(database.superuser_url)
    try:
        await superuser.execute(f'ALTER DATABASE "{database.name}" CONNECTION LIMIT 0')
        await superuser.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for _ in range(5):
            refused = await api.get("/v1/me", headers=ann.headers)
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        await superuser.execute(f'ALTER DATABASE "{database.name}" CONNECTION LIMIT -1')
        assert (await api.get("/v1/me", headers=ann.headers)).status_code == 200
    finally:
        await superuser.close()
