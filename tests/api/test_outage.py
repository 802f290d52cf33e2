"""What callers are told while PostgreSQL is away, and that the API serves again by itself."""

import asyncpg
import pytest

from taskbell.api.http import paging
from taskbell.local import db


@pytest.fixture
def overrides():
    """A pool whose connections are all made again within a few requests."""
    return {"database_pool_size": 2, "database_acquire_timeout": "PT5S"}


_REFUSE = """
CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '{code}'; END $$;
CREATE OR REPLACE TRIGGER refused BEFORE INSERT OR UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION public.refuse();
"""


async def test_a_server_without_room_is_unavailable(api, sign_up, database):
    """A full disk, no memory, no connection: 503 `unavailable` for one statement and in a transaction, then 200."""
    ann = await sign_up()
    task = (await api.post("/v1/tasks", json={"title": "One"}, headers=ann.headers)).json()
    async with db.connected(database.owner_url) as owner:
        for code in ("53100", "53200", "53300", "53400", "58030"):
            await owner.execute(_REFUSE.format(code=code))
            for method, path in (("POST", "/v1/tasks"), ("PATCH", f"/v1/tasks/{task['id']}")):
                refused = await api.request(method, path, json={"title": "Two"}, headers=ann.headers)
                assert (refused.status_code, refused.json()["code"]) == (503, "unavailable"), code
        await owner.execute("DROP TRIGGER refused ON tasks")
    assert (await api.get(f"/v1/tasks/{task['id']}", headers=ann.headers)).json() == task
    assert (await api.post("/v1/tasks", json={"title": "Two"}, headers=ann.headers)).status_code == 201


async def test_a_list_that_takes_too_long_is_ended(api, sign_up, database, monkeypatch):
    """Past its time a list is 503 `too_slow`, not `unavailable`; its connection serves the next request."""
    ann = await sign_up()
    monkeypatch.setattr(paging, "LIST_SECONDS", 0.1)
    async with db.connected(database.owner_url) as owner:
        for path, table in (("tasks", "tasks"), ("notifications", "notifications")):
            async with owner.transaction():
                await owner.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                for _ in range(3):
                    refused = await api.get(f"/v1/{path}", headers=ann.headers)
                    assert (refused.status_code, refused.json()["code"]) == (503, "too_slow")
    monkeypatch.undo()
    for path in ("tasks", "notifications"):
        assert (await api.get(f"/v1/{path}", headers=ann.headers)).status_code == 200


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
