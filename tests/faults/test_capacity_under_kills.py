"""A run of the capacity check, while one part after another is killed: nothing is lost, and errors end in seconds.

The suite kills each part once, under 60 users. More of both:
`TASKBELL_TEST_KILL_ROUNDS=5 make test PYTEST_ARGS="-n 0 -s tests/faults/test_capacity_under_kills.py"`.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import orjson
import pytest

import platform_behind_pooler
import poolers
from ports import two_free_ports
from taskbell.capacity import journal, service
from taskbell.capacity.arguments import KEY, Workers, parse
from taskbell.capacity.briefing import Briefing, whole_lines
from taskbell.capacity.interrupts import Interrupts
from taskbell.capacity.journal import Note
from taskbell.capacity.run import run
from taskbell.testing.platform import Platform
from taskbell.testing.waiting import NotInTime, eventually
from webhook_receiver import Receiver

pytestmark = [pytest.mark.xdist_group("capacity under kills"), pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("TASKBELL_TEST_KILL_ROUNDS", "1"))
USERS = 60 if ROUNDS == 1 else 300
CREATED_AFTER = 15
"""Tasks that are created without any failure before the next kill."""
SECONDS = 20.0
"""The longest time from a kill to its last failed request. A part starts again within 5 s, a request waits up to 5 s
for a connection to the database, and a client up to 10 s for its answer."""
PGBOUNCER, LOAD_WORKER, RELAY = "pgbouncer", "a process of the load", "active relay"
UNNOTICED = "postgres-replica", "delivery", RELAY, LOAD_WORKER, "delivery-2"
"""Parts whose end no request notices."""
NOTICED = "nats", PGBOUNCER
ENVIRONMENT = {
    **service.UNLIMITED,
    "TASKBELL_API_WORKERS": "1",  # half of the time goes into starting the platform
    "TASKBELL_DELIVERY_WORKERS": "2",
    "TASKBELL_DELIVERY_LEASE": "PT8S",
    "TASKBELL_WEBHOOK_TIMEOUT": "PT5S",
    "TASKBELL_SMTP_TIMEOUT": "PT5S",
    "TASKBELL_PUSH_TIMEOUT": "PT5S",
}


@dataclasses.dataclass
class Hurt:
    """What is left of a run.

    Attributes:
        killed: Each kill's part and time (Unix seconds), in their order.
        failures: The requests that failed.
        promised: Ids of the events of tasks that the webhook had to get.
        accepted: Ids of the events that its receiver accepted.
        report: The report of the run.
    """

    killed: list = dataclasses.field(default_factory=list)
    failures: list = dataclasses.field(default_factory=list)
    report: dict = dataclasses.field(default_factory=dict)
    promised: set = dataclasses.field(default_factory=set)
    accepted: set = dataclasses.field(default_factory=set)

    def failures_of(self, part):
        """The failed requests between each kill of a part and the next kill, with the time of that kill."""
        ends = [at for _, at in self.killed[1:]] + [float("inf")]
        return [
            (at, one)
            for (killed, at), end in zip(self.killed, ends, strict=True)
            for one in self.failures
            if killed == part and at <= one.ended < end
        ]


class Running:
    """A run in a thread, with the processes that make its load, and a receiver of one team's webhook."""

    def __init__(self, output, receiver, *, pgbouncer):
        self.output, self.receiver, self.hurt = output, receiver, Hurt()
        self.interrupts, self.folder = Interrupts(), None
        behind_it = [str(Path(platform_behind_pooler.__file__)), str(pgbouncer)]
        self._program = ["-m", "taskbell.local"] if pgbouncer is None else behind_it
        self._workers = Workers(2, two_free_ports(), "a key of the run and its workers")
        options = f"--first-users {USERS} --most-users {USERS} --teams 3 --quiet 3 --errors 1".split()
        asked = parse([*options, "--output", str(output)])
        plan = dataclasses.replace(asked.plan, hold_seconds=3000.0, load_seconds=3400.0)  # until it is interrupted
        self._command = dataclasses.replace(asked, plan=plan, seconds=3600.0, workers=self._workers)
        self.load = []

    @contextlib.contextmanager
    def _start(self, folder):
        with service.running(folder, settings=ENVIRONMENT, program=self._program) as platform:
            self.folder = folder
            yield platform
            told = journal.read(folder / "journal.jsonl", run="", titles=set())
            self.hurt.failures = told.failures
            asyncio.run(self._count_deliveries(platform.run["owner_database_url"]))

    async def _count_deliveries(self, url):
        """Wait until the webhook has everything, while the platform still runs."""
        connection = await asyncpg.connect(url)
        promised = """
            SELECT events.id::text FROM events JOIN webhooks USING (workspace_id)
            WHERE type LIKE 'task.%' AND events.created_at > webhooks.created_at
        """
        try:
            self.hurt.promised = {row[0] for row in await connection.fetch(promised)}
        finally:
            await connection.close()
        with contextlib.suppress(NotInTime):  # a test tells what is missing
            await eventually(lambda: self.hurt.promised <= self.receiver.accepted())
        self.hurt.accepted = self.receiver.accepted()

    @contextlib.asynccontextmanager
    async def under_load(self):
        """While the block lasts, users work; behind it everything is counted."""
        worker = [sys.executable, "-m", "taskbell.capacity", "worker", "--master", "127.0.0.1"]
        worker += ["--port", str(self._workers.port)]
        environment = {**os.environ, KEY: self._workers.key}
        self.load = [subprocess.Popen(worker, env=environment) for _ in range(2)]  # noqa: ASYNC220 -- at once
        checking = asyncio.create_task(asyncio.to_thread(run, self._command, self.interrupts, start=self._start))
        try:
            await self._or_its_end(checking, self._created(0, within=300))
            yield checking
        finally:
            self.interrupts.is_asked = True  # what Ctrl-C does
            await asyncio.wait([checking])
            for each in self.load:
                each.kill()
                each.wait()
        await checking
        self.hurt.report = json.loads((self.output / "report.json").read_text())

    async def kill(self, part):
        """Kill a part, and wait until tasks are created without a failure."""
        platform, before = Platform(self.folder), len(self._lines())
        name = await platform.active_relay() if part == RELAY else part
        self.hurt.killed.append((part, time.time()))
        if part == LOAD_WORKER:
            self.load[0].kill()
        else:
            await platform.kill(name)
        await self._created(before)

    async def _created(self, before, *, within=120):
        """Wait until enough tasks were created in a row, after so many lines of the journal."""

        def in_a_row():
            kinds = [orjson.loads(line)[0] for line in self._lines()[before:]]
            failed = [place for place, kind in enumerate(kinds) if kind == Note.FAILED]
            return kinds[failed[-1] if failed else 0 :].count(Note.CREATED)

        await eventually(in_a_row, "created tasks", within=within, wanted=lambda found: found >= CREATED_AFTER)

    def _lines(self):
        return [] if self.folder is None else whole_lines(self.folder / "journal.jsonl")

    async def _or_its_end(self, checking, waiting):
        """Wait, but not for a run that has failed."""
        waiting = asyncio.create_task(waiting)
        await asyncio.wait([checking, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            await checking
        await waiting

    async def make_webhook(self):
        """Tell the receiver of everything in the workspace of one team."""
        owner = Briefing.read(self.folder / "briefing.json").accounts[0]
        async with Platform(self.folder).client() as http:
            body = {"url": self.receiver.url, "workspace_id": owner.workspace_id, "event_types": ["*"]}
            headers = {"Authorization": f"Bearer {owner.token}"}
            (await http.post("/v1/webhooks", json=body, headers=headers)).raise_for_status()


async def hurt(output, *, pgbouncer):
    """Carry out a run in which each part is killed in each round."""
    receiver = Receiver()
    await receiver.start()
    running = Running(output, receiver, pgbouncer=pgbouncer)
    try:
        async with running.under_load():
            await running.make_webhook()
            for number in range(ROUNDS):
                for part in (*UNNOTICED, *NOTICED):
                    if (part == PGBOUNCER and pgbouncer is None) or (part == LOAD_WORKER and number > 0):
                        continue
                    await running.kill(part)
    finally:
        await receiver.stop()
    return running.hurt


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run in which everything was killed, behind PgBouncer where there is one."""
    path, _ = poolers.program()
    found = asyncio.run(hurt(tmp_path_factory.mktemp("run"), pgbouncer=path))
    for part, at in found.killed:
        failures = [one for kill, one in found.failures_of(part) if kill == at]
        last = max((one.ended - at for one in failures), default=0.0)
        print(f"{part}: {len(failures)} failed requests, the last after {last:.1f} s")  # noqa: T201 -- for whoever runs it
    return found


@pytest.mark.feature("M44", "H15", "K10")
def test_nothing_acknowledged_is_lost(killed):
    """Every task, change and notification is in PostgreSQL, in the stream and at every listener, once."""
    found = killed.report["conservation"]
    assert (found["lost"], found["double"]) == (0, 0), found["places"]
    assert found["created"] == found["events"] == found["frames"] == found["notifications"]
    assert found["created"] >= CREATED_AFTER * len(killed.killed)
    assert killed.report["surroundings"]["gaps"] == 0


@pytest.mark.feature("P19")
def test_webhooks_get_everything_though_workers_are_killed(killed):
    """The receiver of a workspace accepted each event of its tasks."""
    assert killed.promised
    assert killed.promised - killed.accepted == set()


@pytest.mark.parametrize("part", UNNOTICED)
def test_no_request_notices(killed, part):
    """Replica, delivery workers and relays work behind the requests; what makes the load is no part of the platform."""
    assert killed.failures_of(part) == []


@pytest.mark.parametrize("part", NOTICED)
def test_errors_end_in_seconds(killed, part):
    """Requests fail until the part is there again, and then no more; without NATS only who polls the change feed."""
    if part not in dict(killed.killed):
        pytest.skip(poolers.program()[1])
    failures = killed.failures_of(part)
    assert max((one.ended - at for at, one in failures), default=0.0) < SECONDS, failures
    if part == "nats":
        assert {one.kind for _, one in failures} <= {"poll events"}
