"""The API, gateway, sweeper and delivery behind a real PgBouncer in transaction mode."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest

from taskbell.gateway.repository import Memberships, open_database
from taskbell.kit.postgres.connection import connect_directly, open_session
from taskbell.kit.postgres.errors import PoolerInBetween, describe, translating
from taskbell.kit.postgres.pool import Pool, open_lender
from taskbell.kit.postgres.urls import through
from taskbell.local import db
from taskbell.relay.errors import DatabaseUnavailable
from taskbell.relay.repository import connected
from taskbell.store import migrate, roles
from taskbell.sweeper.errors import SweepInterrupted
from taskbell.sweeper.policy import Part
from taskbell.sweeper.repository import maintaining, sweeping
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("M41")


@pytest.fixture
async def database(fresh_database, pgbouncer):
    """A database that all roles but the owner's, the relay's and the superuser's reach through the pooler."""
    async with fresh_database() as made:
        yield pgbouncer.of(made)


@pytest.fixture
def overrides():
    """More connections to the pooler than it has to PostgreSQL."""
    return {"database_pool_size": 12}


async def test_requests_share_few_sessions(api, sign_up, database):
    """Ten users at once on three sessions: each reads its own tasks and nobody else's, by the same statements."""
    users = [await sign_up() for _ in range(10)]

    async def work(user):
        made = []
        for number in range(6):
            answer = await api.post("/v1/tasks", headers=user.headers, json={"title": f"{number}"})
            assert answer.status_code == 201, answer.text
            assert answer.headers["Taskbell-Consistency"].isdigit()
            made.append(answer.json()["id"])
            changed = await api.patch(f"/v1/tasks/{made[-1]}", headers=user.headers, json={"status": "completed"})
            assert changed.status_code == 200, changed.text
            commented = await api.post(f"/v1/tasks/{made[-1]}/comments", headers=user.headers, json={"body": "text"})
            assert commented.status_code == 201, commented.text
        moved = await api.post(f"/v1/tasks/{made[0]}/move", headers=user.headers, json={"after": made[-1]})
        assert moved.status_code == 200, moved.text
        listed = await api.get("/v1/tasks", headers=user.headers)
        assert [each["id"] for each in listed.json()["items"]] == [*made[1:], made[0]]

    await asyncio.gather(*(work(user) for user in users))
    async with db.connected(database.superuser_url) as connection:
        held = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND datname = $2", roles.API, database.name
        )
    assert 1 <= held <= 3


async def test_repeats_meet_behind_the_pooler(api, sign_up):
    """Requests with a key take turns by locks of their transactions, whatever session each has: one task for a key."""
    users = [await sign_up() for _ in range(4)]

    def create(user, key):
        return api.post("/v1/tasks", headers=user.headers | {"Idempotency-Key": key}, json={"title": key})

    answers = await asyncio.gather(*(create(user, key) for user in users for key in "abc" for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 12
    for user in users:
        listed = (await api.get("/v1/tasks", headers=user.headers)).json()["items"]
        assert sorted(task["title"] for task in listed) == ["a", "b", "c"]


async def test_settings_of_the_role_hold(database):
    """Plans are generic and statements end in time on every session that the pooler opens."""
    lender = await open_lender(database.api_url, most=3, statement_seconds=10)
    try:
        for _ in range(3):
            connection = await lender.lend()
            assert await connection.fetchval("SELECT current_setting('plan_cache_mode')") == "force_generic_plan"
            assert await connection.fetchval("SELECT current_setting('statement_timeout')") == "10s"
    finally:
        lender.terminate()


async def test_an_actor_does_not_outlive_its_transaction(database):
    """Whoever gets the session next has no actor, after a commit, a rollback and a failure alike."""
    lender = await open_lender(database.api_url, most=1, statement_seconds=10)
    setting = "SELECT set_config('taskbell.actor', '00000000-0000-7000-8000-000000000001', true)"
    try:
        for end in ("COMMIT", "ROLLBACK", "SELECT 1 / 0"):
            connection = await lender.lend()
            await connection.execute(f"BEGIN; {setting}")
            try:
                await connection.execute(end)
            except asyncpg.DivisionByZeroError:
                await connection.execute("ROLLBACK")
            for _ in range(4):  # the sessions take turns
                assert await connection.fetchval("SELECT current_setting('taskbell.actor', true)") in {None, ""}
            lender.give_back(connection)
    finally:
        await lender.close()


async def test_prepared_statements_follow_their_client(database):
    """More statements than the pooler keeps on a session, from several clients by turns: each gets its own answer."""
    lender = await open_lender(database.api_url, most=6, statement_seconds=10)
    pool = Pool(lender, away=translating(lambda lost: RuntimeError(describe(lost))))

    async def ask(number):
        text = f"SELECT $1::int + {number}"
        return [await pool.fetchval(text, 1) for _ in range(3)]

    try:
        assert await asyncio.gather(*(ask(number) for number in range(300))) == [[n + 1] * 3 for n in range(300)]
    finally:
        await lender.close()


async def test_a_pooler_that_is_killed_costs_a_moment(api, sign_up, pgbouncer):
    """Requests meanwhile get a 503; when it runs again everything goes on, and what was acknowledged is there."""
    user = await sign_up()
    made = []

    async def create():
        answer = await api.post("/v1/tasks", headers=user.headers, json={"title": "one"})
        assert answer.status_code in {201, 503}, answer.text
        if answer.status_code == 201:
            made.append(answer.json()["id"])
        return answer.status_code

    assert await create() == 201
    pgbouncer.kill()
    assert await create() == 503
    with pgbouncer.running():
        await eventually(create, "a task that is created again", wanted=lambda status: status == 201)
        listed = await api.get("/v1/tasks", headers=user.headers)
    assert set(made) <= {each["id"] for each in listed.json()["items"]}


async def test_who_keeps_state_in_a_session_refuses_a_pooler(database, pgbouncer):
    """Relay, maintenance and migrations say what is wrong with their URL and do nothing; the server itself is right."""
    pooled = {
        role: through(url, f"127.0.0.1:{pgbouncer.port}")
        for role, url in ((roles.RELAY, database.relay_url), (roles.OWNER, database.owner_url))
    }
    with pytest.raises(DatabaseUnavailable, match="needs a direct connection"):
        await connected(pooled[roles.RELAY]).__aenter__()
    with pytest.raises(SweepInterrupted, match="needs a direct connection"):
        await maintaining(pooled[roles.OWNER]).__aenter__()
    with pytest.raises(PoolerInBetween, match="needs a direct connection"):
        await migrate.upgrade_async(pooled[roles.OWNER])
    with pytest.raises(PoolerInBetween):
        await connect_directly(database.api_url)
    await (await connect_directly(database.relay_url)).close()


async def test_programs_find_the_pooler_by_its_own_setting(database, pgbouncer, servers):
    """With TASKBELL_DATABASE_POOLER a URL that names the server leads to the pooler, with the role's password."""
    server = servers.postgres_url(roles.DELIVERY, database.name)
    assert urlsplit(server).port == servers.postgres_port
    connection = await asyncpg.connect(through(server, f"127.0.0.1:{pgbouncer.port}"))
    try:
        assert await connection.fetchval("SELECT current_user") == roles.DELIVERY
        assert await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid()
    finally:
        await connection.close()


async def test_the_other_programs_come_through(database):
    """The sweeper's session, the gateway's memberships and the role of delivery, with their own settings."""
    nobody = "00000000-0000-0000-0000-000000000000"
    async with sweeping(database.sweeper_url) as reminders:
        assert [await reminders.fire(Part(), at_most=10) for _ in range(4)] == [[]] * 4
    async with open_database(database.gateway_url, pool_size=4) as pool:
        memberships = Memberships(pool)
        found = await asyncio.gather(*(memberships.workspaces_of(nobody) for _ in range(20)))
        assert set(found) == {frozenset()}
    away = translating(lambda lost: AssertionError(str(lost)))
    async with open_session(database.delivery_url, away=away) as session:
        assert await session.fetchval("SELECT current_setting('enable_partition_pruning')") == "off"
