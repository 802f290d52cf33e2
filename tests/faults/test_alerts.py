"""Alerts while everything is killed: every inbox is complete, every listener's view is right, every push is made once.

The suite runs a short form. At full size it takes some minutes:
`TASKBELL_TEST_NOTIFICATIONS=100000 make test PYTEST_ARGS="-n 0 -s tests/faults/test_alerts.py"`.
"""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import ssl
import time
import uuid
from collections import Counter
from functools import partial

import aiohttp
import asyncpg
import httpx
import pytest

from taskbell.contract.frames import ServerFrame
from taskbell.testing.follower import Follower
from taskbell.testing.platform import Platform
from taskbell.testing.waiting import eventually

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.timeout(3600)]

NOTIFICATIONS = int(os.environ.get("TASKBELL_TEST_NOTIFICATIONS", "2000"))
USERS = min(999, max(40, NOTIFICATIONS // 100))  # with the one who assigns as many as a workspace holds
AT_ONCE = 40
"""People that one task is assigned to."""
CLIENTS = 4
READERS = asyncio.Semaphore(16)
"""Inboxes that this one process reads at a time: a connection that waits for its turn in here looks idle to the API."""
PLACES = 64 + 2 * 200
"""Attempts of a delivery worker in flight, by default settings: what a kill may make it send again."""
ENVIRONMENT = {
    "TASKBELL_GATEWAY_WORKERS": "2",
    "TASKBELL_DELIVERY_WORKERS": "4",
    "TASKBELL_DELIVERY_LEASE": "PT8S",
    "TASKBELL_WEBHOOK_TIMEOUT": "PT5S",
    "TASKBELL_SMTP_TIMEOUT": "PT5S",
    "TASKBELL_PUSH_TIMEOUT": "PT5S",
    "TASKBELL_PASSWORD_HASH_MEMORY_KIB": "8",
    "TASKBELL_PASSWORD_HASH_ITERATIONS": "1",
    "TASKBELL_PUSH_SIMULATOR_KEEPS": str(2 * NOTIFICATIONS + 10_000),
}
KILLED = ("gateway", "delivery-2", "active relay", "nats", "delivery", "gateway-2", "delivery-4", "nats with its store")


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """Two gateways, four delivery workers, and simulated providers."""
    with Platform(tmp_path_factory.mktemp("alerts"), **ENVIRONMENT).up() as running:
        yield running


class Person(Follower):
    """Somebody with a device: what they heard, and their inbox as they read it after each `gap`."""

    def __init__(self, platform, account, *, kind):
        super().__init__(platform.gateway_url, token=account.token)
        self.account = account
        self.kind = kind
        self.address = ""
        self.read = set()
        self._platform = platform
        self._reading = set()

    def __iter__(self):
        return iter(self.view)

    @property
    def view(self):
        """Ids of the notifications that they know of."""
        heard = {item.event["data"]["id"] for item in self.events if item.event["type"] == "notification.created"}
        return heard | self.read

    @property
    def twice(self):
        """How many events came again between two gaps."""
        seen = [item.event["id"] for item in self.events]
        return len(seen) - len(set(seen)) if set(self.resumes[1:]) <= {"ok"} else 0

    def _take(self, frame):
        super()._take(frame)
        if frame.kind == ServerFrame.WELCOME and frame.fields["resume"] == "gap":
            self._reading.add(asyncio.get_running_loop().create_task(self.reload()))

    async def reload(self):
        """Read the inbox, as a client does that may have missed something."""
        self.read |= {item["id"] for item in await inbox(self._platform, self.account)}

    async def settled(self):
        """Wait until the inbox was read after every gap."""
        if self._reading:
            await asyncio.gather(*self._reading)


async def inbox(platform, account):
    """All notifications of somebody, by pages."""
    found, cursor = [], None
    async with READERS, platform.client(account=account, timeout=60) as http:
        while True:
            query = {"limit": 1000} | ({"cursor": cursor} if cursor else {})
            page = (await _read(http, query)).raise_for_status().json()
            found += page["items"]
            cursor = page["meta"]["next_cursor"]
            if not page["meta"]["has_more"]:
                return found


async def _read(http, query):
    """Read a page, as a browser does: once more if the API closed the connection before it was asked anything.

    A process that follows a thousand listeners may leave a new connection idle for longer than the API waits.
    """
    for _ in range(4):
        with contextlib.suppress(httpx.RemoteProtocolError):
            return await http.get("/v1/notifications", params=query)
    return await http.get("/v1/notifications", params=query)


class Pushes:
    """What the providers accepted, read from the simulator's control side."""

    def __init__(self, url):
        self.http = httpx.AsyncClient(base_url=url, http2=True, verify=_trusting(), trust_env=False, timeout=30)
        self.counts = Counter()
        self.problems = Counter()
        self._after = 0

    async def devices(self, provider, count):
        """Make devices."""
        answer = await self.http.post("/control/devices", json={"provider": provider, "count": count})
        return answer.raise_for_status().json()["devices"]

    async def look(self):
        """Count what came since the last look."""
        while True:
            query = {"after": self._after, "limit": 1000}
            found = (await self.http.get("/control/pushes", params=query)).raise_for_status().json()["pushes"]
            for push in found:
                assert push["number"] == self._after + 1, "the simulator has forgotten some"
                self._after = push["number"]
                self.counts[push["address"], push["notification_id"]] += not push["withdrawn"]
                self.problems[push["problem"]] += push["problem"] is not None
            if len(found) < 1000:
                return


def _trusting():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # of a simulator on this machine
    return context


async def population(platform, pushes):
    """The one who assigns, and the others: members of one workspace with a device each."""
    boss = await platform.register("boss@example.com")
    limit = asyncio.Semaphore(8)

    async def register(number):
        async with limit:
            return await platform.register(f"person-{number}@example.com")

    accounts = await asyncio.gather(*(register(number) for number in range(USERS)))
    owner = await asyncpg.connect(platform.run["owner_database_url"])
    try:
        await owner.executemany(
            "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'member')",
            [(uuid.UUID(one.user_id), uuid.UUID(boss.workspace_id)) for one in accounts],
        )
    finally:
        await owner.close()
    kinds = ("fcm", "apns", "webpush")
    people = [Person(platform, account, kind=kinds[n % 3]) for n, account in enumerate(accounts)]
    for kind in kinds:
        mine = [person for person in people if person.kind == kind]
        for person, device in zip(mine, await pushes.devices(kind, len(mine)), strict=True):
            person.address = device["address"]
            async with platform.client(account=person.account) as http:
                (await http.post("/v1/devices", json=_registration(kind, device))).raise_for_status()
    return boss, people


def _registration(kind, device):
    if kind == "fcm":
        return {"kind": kind, "token": device["address"]}
    if kind == "apns":
        return {"kind": kind, "token": device["address"], "environment": device["environment"]}
    keys = {"p256dh": device["p256dh"], "auth": device["auth"]}
    return {"kind": kind, "subscription": {"endpoint": device["address"], "keys": keys}}


class Assignments:
    """Creates tasks, each assigned to many."""

    def __init__(self, platform, boss, people):
        self.platform, self.boss, self.people = platform, boss, people
        self.made = 0

    async def run(self):
        """Work until there are as many notifications as wanted."""
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(self._client(random.Random(number)))

    async def reached(self, share):
        """Wait until this share was made."""
        await eventually(
            lambda: self.made, "notifications", within=1200, wanted=lambda made: made >= share * NOTIFICATIONS
        )

    async def _client(self, chance):
        address = f"http://127.0.0.1:{self.platform.port('api')}"
        async with aiohttp.ClientSession(address, headers=self.boss.headers) as http:
            while self.made < NOTIFICATIONS:
                chosen = chance.sample(self.people, AT_ONCE)
                body = {
                    "title": f"task {self.made}",
                    "workspace_id": self.boss.workspace_id,
                    "assignee_ids": [person.account.user_id for person in chosen],
                }
                async with http.post("/v1/tasks", json=body) as answer:
                    assert answer.status == 201, await answer.text()
                self.made += AT_ONCE


async def kill(platform, part):
    """Kill a part; return the seconds until it serves again."""
    began = time.monotonic()
    if part == "nats with its store":
        stopped = platform.signal("nats", signal.SIGSTOP)  # so that it can write nothing any more
        shutil.rmtree(platform.data / "nats" / "store")
        platform.signal("nats", signal.SIGKILL)
        await platform.renewed("nats", stopped)
    else:
        await platform.kill(await platform.active_relay() if part == "active relay" else part)
    return time.monotonic() - began


async def waiting(platform):
    """How many deliveries are not settled."""
    connection = await asyncpg.connect(platform.run["owner_database_url"])
    try:
        return await connection.fetchval("SELECT count(*) FROM deliveries WHERE state IN ('pending', 'retrying')")
    finally:
        await connection.close()


async def truth(platform):
    """The ids of the notifications of each user, as PostgreSQL has them."""
    connection = await asyncpg.connect(platform.run["owner_database_url"])
    try:
        rows = await connection.fetch("SELECT user_id::text, id::text FROM notifications")
    finally:
        await connection.close()
    found = {}
    for row in rows:
        found.setdefault(row["user_id"], set()).add(row["id"])
    return found


@pytest.mark.feature("T11", "H15", "K4", "P24")
async def test_alerts_survive_the_kill_of_everything_between(platform, record_property):
    """Gateways, workers, relay and NATS are killed, its store is deleted: nobody misses or sees anything twice."""

    def record(name, value):
        record_property(name, value)
        print(f"{name}: {value}")  # noqa: T201 -- a figure for whoever runs it by hand

    pushes = Pushes(f"https://127.0.0.1:{platform.port('pushsim')}")
    boss, people = await population(platform, pushes)
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(pushes.http.aclose)
        await asyncio.gather(*(stack.enter_async_context(person.following()) for person in people))
        record("listeners signed in after s", round(time.monotonic() - began, 1))
        work = Assignments(platform, boss, people)
        working = asyncio.create_task(work.run())
        try:
            for number, part in enumerate(KILLED, 1):
                await work.reached(number / (len(KILLED) + 1))
                record(f"{part} serves again after s", round(await kill(platform, part), 1))
            await working
            record("created after s", round(time.monotonic() - began, 1))
            expected = await truth(platform)
            assert sum(map(len, expected.values())) >= NOTIFICATIONS

            async def recorded():
                await pushes.look()
                return await waiting(platform) == 0 and sum(pushes.counts.values()) >= work.made

            await eventually(recorded, "every alert is settled", within=120 + NOTIFICATIONS / 50)
        finally:
            working.cancel()
            await asyncio.wait([working])
        await pushes.look()
        record("settled after s", round(time.monotonic() - began, 1))
        for person in people:
            mine = expected[person.account.user_id]
            await eventually(partial(mine.issubset, person), f"{person.account.email} has heard all", within=60)
            await person.settled()
            assert person.view == mine, "a listener heard of something that was never written"
            assert person.twice == 0, (person.resumes, person.closes)
            assert {item["id"] for item in await inbox(platform, person.account)} == mine
        wanted = {(person.address, one) for person in people for one in expected[person.account.user_id]}
        assert set(pushes.counts) == wanted, "a push is missing, or nobody asked for it"
        again = sum(pushes.counts.values()) - len(wanted)
        record("notifications", len(wanted))
        record("pushes that were made again", again)
        record("resumes", dict(Counter(resume for person in people for resume in person.resumes)))
        killed_workers = sum(part.startswith("delivery") for part in KILLED)
        assert again <= killed_workers * PLACES, "more than what killed workers had in flight"
        assert not +pushes.problems
