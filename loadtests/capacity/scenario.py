"""The locust scenario: integrations that poll, readers and writers, grown step by step until a limit breaks.

Runs under `locust -f`, started by `capacity.run`, which says by `CAPACITY_BRIEFING` where the briefing is.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from array import array
from collections import Counter, defaultdict, deque
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import gevent  # type: ignore[import-untyped]  # it brings no types
import orjson
from locust import FastHttpUser, LoadTestShape, between, events, task
from locust.env import Environment

from capacity.briefing import Briefing, read_latencies
from capacity.plan import KINDS, MIX
from capacity.steps import Figures, Step, broken_limits, next_users, percentile, summarize

BRIEFING: Final = Briefing.read(Path(os.environ["CAPACITY_BRIEFING"]))
STATUSES: Final = ("pending", "in_progress", "completed")


class Measured:
    """Durations and errors since the last `begin`."""

    def __init__(self) -> None:
        """Begin."""
        self.lags = array("d")
        self.begin()

    def begin(self) -> None:
        """Forget everything; what is measured starts now."""
        self.started = time.time()
        self.durations: dict[str, array[float]] = {kind: array("d") for kind in KINDS}
        self.errors = dict.fromkeys(KINDS, 0)
        del self.lags[:]

    def take(self, *, name: str, response_time: float, exception: Exception | None, **_: object) -> None:
        """Receive a finished request from locust."""
        self.durations[name].append(response_time)
        if exception is not None:
            self.errors[name] += 1
            written.failures[f"{name}: {type(exception).__name__} {exception}"[:120]] += 1

    def kinds(self, *, seconds: float) -> dict[str, Figures]:
        """Sum up by kind."""
        return {
            kind: summarize(durations, seconds=seconds, errors=self.errors[kind])
            for kind, durations in self.durations.items()
        }

    def watch_clock(self) -> None:
        """Without end, note by how many milliseconds a short sleep is too long."""
        while True:
            before = time.perf_counter()
            gevent.sleep(0.05)
            self.lags.append((time.perf_counter() - before - 0.05) * 1000)


class Written:
    """What the writers did: evidence for the conservation check."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.attempted: list[str] = []
        self.acknowledged: dict[str, str] = {}
        self.assigned: dict[str, int] = {}
        self.failures = Counter[str]()
        self.recent: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=200))
        """The newest tasks of each workspace."""

    def save(self, **_: object) -> None:
        """Write everything into the run's folder."""
        found = {
            "attempted": self.attempted,
            "acknowledged": self.acknowledged,
            "assigned": self.assigned,
            "failures": dict(self.failures),
        }
        BRIEFING.written.write_bytes(orjson.dumps(found))


measured = Measured()
written = Written()
_people = itertools.count()


@events.init.add_listener  # type: ignore[untyped-decorator]  # locust types its events in part
def _begin(environment: Environment, **_: object) -> None:
    environment.events.request.add_listener(measured.take)  # type: ignore[no-untyped-call]  # the same
    environment.events.quitting.add_listener(written.save)  # type: ignore[no-untyped-call]  # the same
    gevent.spawn(measured.watch_clock)


class Person(FastHttpUser):
    """Somebody with an account, on a connection of their own."""

    abstract = True
    host = BRIEFING.api_url
    connection_timeout = 5.0
    network_timeout = 10.0
    max_retries = 0  # a create that is sent again would be a second task

    def __init__(self, environment: Environment) -> None:
        """Take the next account in turn."""
        super().__init__(environment)
        self.account = BRIEFING.accounts[next(_people) % len(BRIEFING.accounts)]
        self.workspace = self.account.workspace_id
        self.headers = {"Authorization": f"Bearer {self.account.token}"}

    def read(self, path: str, *, kind: str) -> dict[str, Any] | None:
        """Send a GET; return the document, or None if it failed (locust has noted that)."""
        answer = self.client.get(path, name=kind, headers=self.headers)
        return orjson.loads(answer.content) if answer.status_code == 200 else None

    @property
    def known_tasks(self) -> deque[str]:
        """Ids of the newest tasks of the person's workspace."""
        return written.recent[self.workspace]


class Integration(Person):
    """A program that keeps in step with a workspace: by the change feed, or by asking for what has changed."""

    weight = MIX["integrations"]
    wait_time = between(0.7, 1.3)

    def on_start(self) -> None:
        """Stand at the end of the feed."""
        self.cursor = "latest"
        self.since = datetime.now(UTC)

    @task(2)
    def follow_the_feed(self) -> None:
        """Ask for the events after the last one."""
        path = f"/v1/events?workspace_id={self.workspace}&after={self.cursor}"
        if (page := self.read(path, kind="poll events")) is not None:
            self.cursor = page["meta"]["next_cursor"]

    @task(1)
    def ask_for_changes(self) -> None:
        """Ask for the tasks that changed since the last time."""
        asked = datetime.now(UTC)
        since = self.since.strftime("%Y-%m-%dT%H:%M:%SZ")
        path = f"/v1/tasks?workspace_id={self.workspace}&updated_since={since}&sort=updated_at&limit=50"
        if self.read(path, kind="poll tasks") is not None:
            self.since = asked - timedelta(seconds=1)


class Reader(Person):
    """A person who looks at lists and tasks."""

    weight = MIX["readers"]
    wait_time = between(1, 3)

    @task(2)
    def list_tasks(self) -> None:
        """Look at the first page, and at times at the second."""
        sort = random.choice(("position", "due_at", "priority"))
        path = f"/v1/tasks?workspace_id={self.workspace}&limit=20&sort={sort}"
        page = self.read(path, kind="list")
        if page is not None and page["meta"]["next_cursor"] and random.random() < 0.3:
            self.read(f"{path}&cursor={page['meta']['next_cursor']}", kind="list")

    @task(1)
    def list_own(self) -> None:
        """Look at one's own tasks in all workspaces."""
        self.read("/v1/me/tasks?limit=20", kind="list")

    @task(3)
    def get_task(self) -> None:
        """Look at a task."""
        if self.known_tasks:
            self.read(f"/v1/tasks/{random.choice(self.known_tasks)}", kind="get")
        else:
            self.list_own()


class Writer(Person):
    """A person who makes tasks and works on them."""

    weight = MIX["writers"]
    wait_time = between(1, 3)

    @task(1)
    def create(self) -> None:
        """Make a task under a title that is used once."""
        title = f"{BRIEFING.run}-{len(written.attempted)}"
        due_at = datetime.now(UTC) + timedelta(hours=random.randint(1, 500))
        body: dict[str, Any] = {
            "title": title,
            "workspace_id": self.workspace,
            "description": "Ordered by the capacity check; to be done some time.",
            "priority": random.randint(1, 10),
            "due_at": due_at.isoformat(timespec="seconds"),
        }
        if BRIEFING.assigns and random.random() < 0.3:
            body["assignee_ids"] = [self.account.teammate_id]
            written.assigned[title] = 1
        written.attempted.append(title)
        answer = self.client.post("/v1/tasks", name="create", headers=self.headers, json=body)
        if answer.status_code == 201:
            made = orjson.loads(answer.content)["id"]
            written.acknowledged[title] = made
            self.known_tasks.append(made)

    @task(1)
    def patch(self) -> None:
        """Work on a task; make one if there is none."""
        if not self.known_tasks:
            self.create()
            return
        body = {"status": random.choice(STATUSES), "priority": random.randint(1, 10)}
        path = f"/v1/tasks/{random.choice(self.known_tasks)}"
        self.client.patch(path, name="patch", headers=self.headers, json=body)


class Growth(LoadTestShape):
    """Grows the users step by step; what comes next is decided by `capacity.steps`."""

    def __init__(self) -> None:
        """Begin before the first step."""
        super().__init__()  # type: ignore[no-untyped-call]  # the same
        self._plan = BRIEFING.plan
        self._steps: list[Step] = []
        self._users = 0
        self._rate = 1.0
        self._settled_at: float | None = None
        self._measuring = False

    def tick(self) -> tuple[int, float] | None:
        """Called once a second; locust grows in between, and does not call until it has grown."""
        now = time.time()
        if self._users == 0:
            return self._go_on()
        if self._settled_at is None:
            self._settled_at = now + self._plan.settle_seconds
        if not self._measuring and now >= self._settled_at:
            measured.begin()
            self._measuring = True
        elif self._measuring and now >= measured.started + self._plan.hold_seconds:
            self._end_step(now)
            return self._go_on()
        return self._wanted()

    def _go_on(self) -> tuple[int, float] | None:
        users = next_users(self._plan, self._steps, seconds_left=BRIEFING.load_until - time.time())
        if users is None:
            return None
        self._rate = max(10.0, (users - self._users) / 3)
        self._users, self._settled_at, self._measuring = users, None, False
        BRIEFING.want_listeners(self._plan.listeners(users))
        return self._wanted()

    def _wanted(self) -> tuple[int, float]:
        return max(1, self._users - self._plan.listeners(self._users)), self._rate

    def _end_step(self, now: float) -> None:
        seconds = now - measured.started
        step = Step(
            number=len(self._steps) + 1,
            users=self._users,
            listeners=self._plan.listeners(self._users) + self._plan.teams,
            started=measured.started,
            ended=now,
            kinds=measured.kinds(seconds=seconds),
            event_latency=summarize(
                read_latencies(BRIEFING.heard_by_second, since=measured.started, until=now), seconds=seconds
            ),
            generator_lag_ms=percentile(sorted(measured.lags), 0.99) or 0.0,
        )
        step = replace(step, broken=broken_limits(step, self._plan.limits))
        self._steps.append(step)
        with BRIEFING.steps.open("ab") as lines:
            lines.write(orjson.dumps(asdict(step)) + b"\n")
