import asyncio
import contextlib
import random
import shutil
import signal
import uuid
from collections import Counter, defaultdict
from functools import partial
from itertools import pairwise

import aiohttp
import asyncpg
import orjson
import pytest

from taskbell.testing.follower import Follower
from taskbell.testing.waiting import eventually

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.timeout(600)]

CLIENTS = 8
AWAY = (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError)


class Load:
    """Clients that create tasks and change, move and delete some of them; an unknown outcome counts as neither."""

    def __init__(self, platform, account, *, tasks):
        self.platform = platform
        self.account = account
        self.wanted = tasks
        self.created = []
        self.unknown = 0
        self.refusals = Counter()

    async def run(self):
        """Work until so many tasks are known to have been created."""
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(self._client(random.Random(number)))

    async def reached(self, share):
        """Wait until this share of the tasks is there."""
        await eventually(
            lambda: len(self.created), "tasks", within=200, wanted=lambda found: found >= share * self.wanted
        )

    async def _client(self, chance):
        # httpx would use as much of the processor as the API that it asks.
        address = f"http://127.0.0.1:{self.platform.port('api')}"
        async with aiohttp.ClientSession(address, headers=self.account.headers) as http:
            http._retry_connection = False  # of a DELETE: the second one would find nothing
            mine = []
            while len(self.created) < self.wanted:
                made = await self._ask(http, "POST", "/v1/tasks", {"title": f"task {len(self.created)}"})
                if made is None:
                    continue
                self.created.append(made["id"])
                mine.append(made["id"])
                await self._change(http, chance, mine)

    async def _change(self, http, chance, mine):
        path = f"/v1/tasks/{mine[-1]}"
        match chance.randrange(10):
            case 0:
                await self._ask(http, "PATCH", path, {"title": "renamed"})
            case 1:
                await self._ask(http, "PATCH", path, {"title": "done", "status": "completed"})
                await self._ask(http, "PATCH", path, {"status": "pending"})
            case 2 if len(mine) > 1:
                await self._ask(http, "POST", f"{path}/move", {"before": mine[-2]})
            case 3 if len(mine) > 1:
                await self._ask(http, "DELETE", f"/v1/tasks/{mine.pop()}", None)

    async def _ask(self, http, method, path, body):
        try:
            async with http.request(method, path, json=body) as answer:
                content = await answer.read()
        except aiohttp.ClientError:
            self.unknown += 1
            return None
        if answer.status >= 500:
            self.unknown += 1
        elif not answer.ok:
            self.refusals[f"{method} {answer.status} {content}"] += 1
        return orjson.loads(content) if answer.ok and content else None


class Regrets:
    """Writes tasks with their events in transactions that are rolled back."""

    def __init__(self, platform, account):
        self.url = platform.run["owner_database_url"]
        self.account = account
        self.task_ids = set()

    async def run(self):
        """Write and regret until cancelled; come back when the database went away."""
        while True:
            with contextlib.suppress(*AWAY):
                connection = await asyncpg.connect(self.url, timeout=5)
                try:
                    while True:
                        transaction = connection.transaction()
                        await transaction.start()
                        document = await create_task(connection, self.account, "regretted")
                        self.task_ids.add(document["id"])
                        await asyncio.sleep(0.02)
                        await transaction.rollback()
                finally:
                    connection.terminate()
            await asyncio.sleep(0.1)


async def create_task(connection, account, title):
    """Write a task and its event, as a request would, in a transaction that the caller ends."""
    statement = """
        WITH task AS (
          INSERT INTO tasks (workspace_id, title, created_by) VALUES ($1, $2, $3)
          RETURNING id, workspace_id, created_by, taskbell.task_document(tasks) AS document
        ), event AS (
          INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data)
          SELECT workspace_id, 'task.created', id, created_by, ARRAY[created_by], document FROM task
        )
        SELECT document::text FROM task
    """
    user, workspace = uuid.UUID(account.user_id), uuid.UUID(account.workspace_id)
    return orjson.loads(await connection.fetchval(statement, workspace, title, user))


@contextlib.asynccontextmanager
async def followers(platform, account):
    """Two listeners of one account: one on `me` alone, one on its workspace, too."""
    mine = Follower(platform.gateway_url, token=account.token)
    whole = Follower(platform.gateway_url, token=account.token, channels=[f"workspace:{account.workspace_id}"])
    async with mine.following(), whole.following():
        yield [mine, whole]


async def truth(platform, account):
    """All events and the ids of all tasks of a workspace, as PostgreSQL has them."""
    connection = await asyncpg.connect(platform.run["owner_database_url"])
    try:
        workspace = uuid.UUID(account.workspace_id)
        events = await connection.fetch(
            "SELECT id::text, type, subject_id::text AS task_id FROM events WHERE workspace_id = $1 ORDER BY id",
            workspace,
        )
        tasks = await connection.fetch("SELECT id::text FROM tasks WHERE workspace_id = $1", workspace)
    finally:
        await connection.close()
    return events, {row["id"] for row in tasks}


async def feed(platform, account):
    """The whole change feed of a workspace, by pages: (cursor, event)."""
    found, after = [], None
    async with platform.client(account=account) as http:
        while True:
            query = {"limit": 1000} | ({"after": after} if after else {})
            page = (await http.get("/v1/events", params=query)).raise_for_status().json()
            found += [(item["cursor"], item["event"]) for item in page["items"]]
            after = page["meta"]["next_cursor"]
            if not page["meta"]["has_more"]:
                return found


def told_of(listener, task_id):
    """Whether a listener has heard of a task."""
    return any(item.event["subject"] == task_id for item in listener.events)


def by_task(events):
    """The events' ids by task, in their order."""
    found = defaultdict(list)
    for event in events:
        found[event["subject"]].append(event)
    return found


def assert_in_order(events):
    """Each task begins at version 1, its versions never fall or skip, and nothing follows its end."""
    for task_id, life in by_task(events).items():
        versions = [event["data"]["version"] for event in life]
        types = [event["type"] for event in life]
        assert (types[0], versions[0]) == ("task.created", 1), task_id
        assert "task.created" not in types[1:], task_id
        assert "task.deleted" not in types[:-1], task_id
        assert all(later - earlier in {0, 1} for earlier, later in pairwise(versions)), task_id


async def assert_exact(platform, account, listeners):
    """Every listener, and the feed, have what PostgreSQL has: each event once, nothing else, in one order."""
    rows, tasks = await truth(platform, account)
    committed = [row["id"] for row in rows]
    for listener in listeners:
        await listener.until_events(len(committed), within=60)
        received = [item.event for item in listener.events]
        ids = [event["id"] for event in received]
        assert len(ids) == len(set(ids)), "an event came twice"
        assert set(ids) == set(committed), "an event is missing, or one came that was never committed"
        assert_in_order(received)
        order = by_task(received)
        for row_task, life in by_task([{"subject": row["task_id"], "id": row["id"]} for row in rows]).items():
            assert [event["id"] for event in order[row_task]] == [row["id"] for row in life]
        created = Counter(event["subject"] for event in received if event["type"] == "task.created")
        deleted = {event["subject"] for event in received if event["type"] == "task.deleted"}
        assert set(created.values()) <= {1}
        assert set(created) - deleted == tasks
        assert set(listener.resumes[1:]) <= {"ok"}
    first, *others = [[(item.cursor, item.event["id"]) for item in listener.events] for listener in listeners]
    assert all(other == first for other in others), "listeners saw different orders"
    assert [(cursor, event["id"]) for cursor, event in await feed(platform, account)] == first


async def driven(platform, account, parts, *, tasks, record):
    """Create tasks while parts are killed one after another; compare all listeners with PostgreSQL; return them."""
    work, regrets = Load(platform, account, tasks=tasks), Regrets(platform, account)
    async with followers(platform, account) as listeners:
        regretting = asyncio.create_task(regrets.run())
        working = asyncio.create_task(work.run())
        try:
            for number, part in enumerate(parts, 1):
                await work.reached(number / (len(parts) + 1))
                name = await platform.active_relay() if part == "active relay" else part
                record(f"{part} recovered in s", round(await platform.kill(name), 2))
            await working
        finally:
            working.cancel()
            regretting.cancel()
            await asyncio.wait([working, regretting])
        await assert_exact(platform, account, listeners)
        rows, tasks_left = await truth(platform, account)
        deleted = {row["task_id"] for row in rows if row["type"] == "task.deleted"}
        assert set(work.created) <= tasks_left | deleted, "what was answered with 201 is gone"
        assert not work.refusals
        assert regrets.task_ids
        assert not regrets.task_ids & {item.event["subject"] for item in listeners[0].events}
        assert work.unknown, "no request was ever interrupted"
        record("events", len(rows))
        record("unknown outcomes", work.unknown)
        record("resumes", [listener.resumes for listener in listeners])
    return listeners


@pytest.fixture
def record(record_property):
    """Keep a figure with the test's result, and print it (`pytest -s`)."""

    def keep(name, value):
        record_property(name, value)
        print(f"{name}: {value}")  # noqa: T201 -- a figure for whoever runs it by hand

    return keep


@pytest.mark.feature("H15", "K2", "M44")
async def test_5000_tasks_survive_a_sigkill_of_api_relay_gateway_and_nats(platform, record):
    """Listeners that reconnect by cursor get all committed events exactly once, in order, and no other."""
    account = await platform.register("kills@example.com")
    parts = ["api", "active relay", "gateway", "nats", "api-2"]  # both: clients may be on either
    interrupted = await driven(platform, account, parts, tasks=5000, record=record)
    assert all(len(listener.resumes) > 1 for listener in interrupted), "the gateway was killed"


@pytest.mark.feature("M44")
async def test_the_second_of_each_and_the_database_may_be_killed_too(platform, record):
    """The same while the other API process, the other relay, PostgreSQL and its replica are killed."""
    account = await platform.register("more-kills@example.com")
    parts = ["api-2", "active relay", "postgres", "postgres-replica", "active relay"]
    await driven(platform, account, parts, tasks=1000, record=record)


async def test_a_relay_that_freezes_and_wakes_harms_nothing(platform, record):
    """The standby takes over from a stopped relay; when that one goes on, nothing is doubled, lost or reordered."""
    account = await platform.register("freeze@example.com")
    work = Load(platform, account, tasks=1500)
    async with followers(platform, account) as listeners:
        working = asyncio.create_task(work.run())
        await work.reached(0.1)
        frozen = await platform.active_relay()
        platform.signal(frozen, signal.SIGSTOP)
        try:
            other = "relay-2" if frozen == "relay" else "relay"
            async with platform.client(other) as probes:

                async def took_over():
                    return "taskbell_relay_lease_held 1.0" in (await probes.get("/metrics")).text

                await eventually(took_over, "the standby takes over")
            await listeners[0].until_events(len(listeners[0].events) + 100)  # what the frozen one holds grows old
        finally:
            platform.signal(frozen, signal.SIGCONT)
        await working
        assert not work.refusals
        assert work.unknown == 0
        await assert_exact(platform, account, listeners)
        await platform.ready(frozen)
        record("events", len(listeners[0].events))


async def test_a_slow_transaction_is_neither_skipped_nor_waited_for(platform):
    """Events of a transaction held open while others commit come after its commit; the others came before."""
    account = await platform.register("slow@example.com")
    connection = await asyncpg.connect(platform.run["owner_database_url"])
    try:
        async with followers(platform, account) as listeners, platform.client(account=account) as http:
            transaction = connection.transaction()
            await transaction.start()
            slow = await create_task(connection, account, "slow")
            quick = []
            for number in range(20):
                made = (await http.post("/v1/tasks", json={"title": f"quick {number}"})).raise_for_status().json()
                quick.append(made["id"])
                for listener in listeners:
                    await listener.until_events(number + 1)  # while the slow one is still open
            await transaction.commit()
            for listener in listeners:
                await listener.until_events(21)
                assert [item.event["subject"] for item in listener.events] == [*quick, slow["id"]]
            await assert_exact(platform, account, listeners)
    finally:
        connection.terminate()


async def test_a_gateway_that_drains_says_goodbye_and_its_clients_miss_nothing(platform):
    """SIGTERM: goaway, close 4200, and the next connection resumes exactly."""
    account = await platform.register("drain@example.com")
    work = Load(platform, account, tasks=300)
    async with followers(platform, account) as listeners:
        working = asyncio.create_task(work.run())
        await work.reached(0.3)
        await platform.renewed("gateway", platform.signal("gateway", signal.SIGTERM))
        await working
        await assert_exact(platform, account, listeners)
        for listener in listeners:
            assert listener.closes == [4200]
            assert "goaway" in {frame["t"] for frame in listener.frames}
            assert listener.resumes == ["new", "ok"]
        assert not work.refusals


@pytest.mark.feature("P23", "T3")
async def test_a_nats_that_lost_its_stream_gets_it_back_from_postgresql(platform):
    """The store is gone: a new epoch, `gap` for old cursors, the feed rebuilt in order, and new events flow."""
    account = await platform.register("lost@example.com")
    await Load(platform, account, tasks=300).run()
    async with followers(platform, account) as listeners, platform.client(account=account) as http:
        before = [event["id"] for _, event in await feed(platform, account)]
        old = listeners[0].cursor
        stopped = platform.signal("nats", signal.SIGSTOP)  # so that it can write nothing any more
        shutil.rmtree(platform.data / "nats" / "store")
        platform.signal("nats", signal.SIGKILL)
        await platform.renewed("nats", stopped)
        for listener in listeners:
            assert await listener.until_resumed(2, within=60) == "gap"
        assert int(listeners[0].cursor.partition("-")[0]) == int(old.partition("-")[0]) + 1
        made = (await http.post("/v1/tasks", json={"title": "after"})).raise_for_status().json()
        for listener in listeners:  # who came back during the rebuild is sent the rest of it, too
            await eventually(partial(told_of, listener, made["id"]), "the new event")
        rows, _ = await truth(platform, account)
        rebuilt = [event for _, event in await feed(platform, account)]
        assert [event["id"] for event in rebuilt] == [row["id"] for row in rows]
        assert set(before) < {event["id"] for event in rebuilt}
        assert_in_order(rebuilt)
        expired = await http.get("/v1/events", params={"after": old})
        assert (expired.status_code, expired.json()["code"]) == (410, "cursor_expired")
