"""The locust scenario: integrations that poll, readers and writers, grown step by step until a limit breaks.

Runs under `locust -f`, started by `taskbell.capacity.run`, which says by `CAPACITY_BRIEFING` where the briefing is.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import gevent  # type: ignore[import-untyped]  # it brings no types
import locust.runners
import orjson
from locust import FastHttpUser, LoadTestShape, between, constant, events, task
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from taskbell.capacity import titles
from taskbell.capacity.briefing import Briefing, read_latencies
from taskbell.capacity.journal import Journal, Note
from taskbell.capacity.measured import Measured
from taskbell.capacity.plan import LIMITED
from taskbell.capacity.steps import Step, broken_limits, next_users, percentile, summarize

BRIEFING: Final = Briefing.read(Path(os.environ["CAPACITY_BRIEFING"]))
STATUSES: Final = ("pending", "in_progress", "completed")
STORM_SECONDS: Final = 10.0
"""From one storm of reminders to the next."""
CONSISTENCY: Final = "Taskbell-Consistency"
_LONGEST_PAUSE: Final = 60.0
_MOST_WORKERS: Final = 1000
locust.runners.WORKER_REPORT_INTERVAL = 1.0  # a step is measured with this blur
locust.runners.HEARTBEAT_LIVENESS = 20  # seconds; a worker on a busy machine is silent for more than locust's three


journal = Journal(BRIEFING.journal)
measured = Measured(journal)
recent: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=200))
"""The newest tasks of each workspace."""
seen: dict[str, int] = {}
"""How far the users of each workspace have come together: they read what others of them wrote, as if told by events."""
given_up = set[str]()
"""Tasks whose deletion has begun: a 404 for one of them is correct."""
_people = itertools.count()
_titles = itertools.count()


@events.init.add_listener  # type: ignore[untyped-decorator]  # locust types its events in part
def _begin(environment: Environment, **_: object) -> None:
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        journal.elsewhere = []
        environment.events.report_to_master.add_listener(_hand_over)  # type: ignore[no-untyped-call]  # the same
    elif isinstance(runner, MasterRunner):
        environment.events.worker_report.add_listener(_take_over)  # type: ignore[no-untyped-call]  # the same
        environment.events.quitting.add_listener(_check_the_end)  # type: ignore[no-untyped-call]  # the same
    environment.events.request.add_listener(measured.take)  # type: ignore[no-untyped-call]  # the same
    # Not `quitting`: users end what they are at, and workers send their last report, behind it.
    environment.events.quit.add_listener(lambda **_: journal.close())  # type: ignore[no-untyped-call]  # the same
    gevent.spawn(measured.watch_clock)


def _hand_over(data: dict[str, Any], **_: object) -> None:
    data["capacity"] = measured.hand_over()


def _take_over(data: dict[str, Any], **_: object) -> None:
    measured.take_over(data["capacity"])


def _check_the_end(environment: Environment, **_: object) -> None:
    """Fail where the steps are not at their end: locust stops when no worker is left, and calls that a success."""
    if isinstance(environment.shape_class, Growth) and not environment.shape_class.is_over:
        sys.stderr.write("the load ended before its last step\n")
        environment.process_exit_code = 1


def _next_title(environment: Environment) -> int:
    """A number that no other user of the run has, nor one at another worker."""
    runner = environment.runner
    index = runner.worker_index if isinstance(runner, WorkerRunner) else 0
    return next(_titles) * _MOST_WORKERS + index


class Person(FastHttpUser):
    """A user with an account and a connection."""

    abstract = True
    host = BRIEFING.api_url
    connection_timeout = 5.0
    network_timeout = 10.0
    max_retries = 0  # a create that is sent again would be a second task
    insecure = False  # locust would not look at certificates
    ssl_context_factory = staticmethod(lambda: gevent.ssl.create_default_context(cafile=BRIEFING.ca or None))

    def __init__(self, environment: Environment) -> None:
        """Take the next account in turn."""
        super().__init__(environment)
        self.account = BRIEFING.accounts[next(_people) % len(BRIEFING.accounts)]
        self.workspace = self.account.workspace_id
        self.headers = {"Authorization": f"Bearer {self.account.token}"}

    def ask(
        self, method: str, path: str, *, kind: str, body: dict[str, Any] | None = None, about: Sequence[str] = ()
    ) -> Any:
        """Send a request; return the answer's document, or None if it failed, which locust records.

        `about` are tasks that another user may delete at the same time: then 404 is correct.
        """
        headers = {**self.headers, CONSISTENCY: str(seen[self.workspace])} if self.workspace in seen else self.headers
        with self.client.request(method, path, name=kind, headers=headers, json=body, catch_response=True) as answer:
            if (position := answer.headers.get(CONSISTENCY) if answer.headers else None) is not None:
                seen[self.workspace] = max(int(position), seen.get(self.workspace, 0))
            if answer.status_code in {200, 201, 204}:
                return orjson.loads(answer.content or b"true")
            if answer.status_code == 404 and not given_up.isdisjoint(about):
                answer.success()
            if answer.status_code != 429:
                return None
            answer.request_meta["name"] = LIMITED
            answer.success()
            pause = float(answer.headers.get("Retry-After", "1"))
        gevent.sleep(min(pause, _LONGEST_PAUSE))
        return None

    def read(self, path: str, *, kind: str, about: Sequence[str] = ()) -> Any:
        """Send a GET."""
        return self.ask("GET", path, kind=kind, about=about)

    def make(self, *, due_in: float) -> str | None:
        """Create a task for the other member of the team, due in so many seconds; return its id. All may change it."""
        now = time.time()
        made = self.post_task(now + due_in, title=titles.write(BRIEFING.run, _next_title(self.environment), sent=now))
        if made is not None:
            self.known_tasks.append(made)
        return made

    def post_task(self, due: float, *, title: str) -> str | None:
        """Create a task for the other member of the team that nobody else knows; return its id."""
        body = {
            "title": title,
            "workspace_id": self.workspace,
            "description": "Ordered by the capacity check; to be done some time.",
            "priority": random.randint(1, 10),
            "due_at": datetime.fromtimestamp(due, UTC).isoformat(timespec="seconds"),
            "assignee_ids": [self.account.teammate_id],
        }
        journal.note(Note.ATTEMPTED, title)
        made = self.ask("POST", "/v1/tasks", kind="create", body=body)
        if made is None:
            return None
        journal.note(Note.CREATED, title, made["id"])
        return str(made["id"])

    @property
    def known_tasks(self) -> deque[str]:
        """Ids of the newest tasks of the person's workspace."""
        return recent[self.workspace]


class Integration(Person):
    """A program that follows a workspace by the change feed or by `updated_since`."""

    weight = BRIEFING.plan.mix["integrations"]
    wait_time = between(0.7, 1.3)

    def on_start(self) -> None:
        """Begin at the end of the feed."""
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
        """Ask for the tasks that changed since the last request."""
        asked = datetime.now(UTC)
        since = self.since.strftime("%Y-%m-%dT%H:%M:%SZ")
        path = f"/v1/tasks?workspace_id={self.workspace}&updated_since={since}&sort=updated_at&limit=50"
        if self.read(path, kind="poll tasks") is not None:
            self.since = asked - timedelta(seconds=1)


class Reader(Person):
    """A person who reads lists and tasks."""

    weight = BRIEFING.plan.mix["readers"]
    wait_time = between(1, 3)

    @task(2)
    def list_tasks(self) -> None:
        """Read the first page, and sometimes the second."""
        sort = random.choice(("position", "due_at", "priority"))
        path = f"/v1/tasks?workspace_id={self.workspace}&limit=20&sort={sort}"
        page = self.read(path, kind="list")
        if page is not None and page["meta"]["next_cursor"] and random.random() < 0.3:
            self.read(f"{path}&cursor={page['meta']['next_cursor']}", kind="list")

    @task(1)
    def list_own(self) -> None:
        """List the user's own tasks in all workspaces."""
        self.read("/v1/me/tasks?limit=20", kind="list")

    @task(3)
    def get_task(self) -> None:
        """Look at a task."""
        if self.known_tasks:
            chosen = random.choice(self.known_tasks)
            self.read(f"/v1/tasks/{chosen}", kind="get", about=[chosen])
        else:
            self.list_own()

    @task(1)
    def look_into_the_inbox(self) -> None:
        """See what is unread, and read the newest."""
        page = self.read("/v1/notifications?unread=true&limit=20", kind="list")
        own = [] if page is None else [one for one in page["items"] if titles.read(BRIEFING.run, one["title"])]
        if own:
            notification = own[0]["id"]
            path = f"/v1/notifications/{notification}"
            if self.ask("PATCH", path, kind="patch", body={"read": True}) is not None:
                journal.note(Note.READ, notification)


class Writer(Person):
    """A person who creates and changes tasks."""

    weight = BRIEFING.plan.mix["writers"]
    wait_time = between(1, 3)

    @task(6)
    def create(self) -> None:
        """Create a task for the other member of the team, with a unique title."""
        self.make(due_in=3600.0 * random.randint(1, 500))

    @task(3)
    def work(self) -> None:
        """Change a task's status, which notifies its creator and assignees."""
        self._change({"status": random.choice(STATUSES)})

    @task(2)
    def edit(self) -> None:
        """Change a task's description and priority."""
        self._change({"description": f"Thought over at {time.time():.3f}.", "priority": random.randint(1, 10)})

    @task(1)
    def hand_over(self) -> None:
        """Assign a task to oneself, to the other member, or to both."""
        both = [self.account.user_id, self.account.teammate_id]
        self._change({"assignee_ids": random.choice((both, both[:1], both[1:]))})

    @task(2)
    def move(self) -> None:
        """Move a task before or after another."""
        if len(self.known_tasks) < 2:
            self.create()
            return
        moved, other = random.sample(self.known_tasks, 2)
        body = {random.choice(("before", "after")): other}
        answer = self.ask("POST", f"/v1/tasks/{moved}/move", kind="move", body=body, about=[moved, other])
        if answer is not None:
            journal.note(Note.CHANGED, moved, answer["version"])

    @task(1)
    def delete(self) -> None:
        """Delete a task."""
        if not self.known_tasks:
            self.create()
            return
        chosen = random.choice(self.known_tasks)
        self.known_tasks.remove(chosen)
        given_up.add(chosen)
        if self.ask("DELETE", f"/v1/tasks/{chosen}", kind="delete") is not None:
            journal.note(Note.DELETED, chosen)

    def _change(self, body: dict[str, Any]) -> None:
        if not self.known_tasks:
            self.create()
            return
        chosen = random.choice(self.known_tasks)
        answer = self.ask("PATCH", f"/v1/tasks/{chosen}", kind="patch", body=body, about=[chosen])
        if answer is not None:
            journal.note(Note.CHANGED, chosen, answer["version"])


class Importer(Person):
    """A program that creates tasks, one after another."""

    weight = BRIEFING.plan.mix["importers"]
    wait_time = constant(0)

    @task
    def create(self) -> None:
        """Create a task."""
        self.make(due_in=3600.0 * random.randint(30, 500))


class Reminded(Person):
    """A person whose tasks fall due at the same moments as everybody else's."""

    weight = BRIEFING.plan.mix["reminded"]
    wait_time = between(0.5, 1.5)

    @task
    def create(self) -> None:
        """Create a task that falls due in the storm after the next one, so that it is not late already."""
        now = time.time()
        due = (now // STORM_SECONDS + 2) * STORM_SECONDS
        made = self.post_task(due, title=titles.write(BRIEFING.run, _next_title(self.environment), sent=now, due=due))
        if made is not None:
            journal.note(Note.DUE, made, self.account.teammate_id, due)


class Growth(LoadTestShape):
    """Grows the users step by step; what comes next is decided by `taskbell.capacity.steps`."""

    def __init__(self) -> None:
        """Begin before the first step."""
        super().__init__()  # type: ignore[no-untyped-call]  # the same
        self._plan = BRIEFING.plan
        self._steps: list[Step] = []
        self._users = 0
        self._listeners = 0
        self._rate = 1.0
        self._settled_at: float | None = None
        self._measuring = False
        self.is_over = False

    def tick(self) -> tuple[int, float] | None:
        """Called once a second; locust grows in between, and does not call until it has grown."""
        now = time.time()
        if BRIEFING.is_to_end:
            self.is_over = True
            return None
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
            self.is_over = True
            return None
        self._rate = max(10.0, abs(users - self._users) / 3)
        self._users, self._settled_at, self._measuring = users, None, False
        # Nobody who listens leaves before the end: each is asked for every event since it came.
        self._listeners = max(self._listeners, self._plan.listeners(users))
        BRIEFING.want_listeners(self._listeners)
        return self._wanted()

    def _wanted(self) -> tuple[int, float]:
        return max(1, self._users - self._plan.listeners(self._users)), self._rate

    def _end_step(self, now: float) -> None:
        seconds = now - measured.started
        step = Step(
            number=len(self._steps) + 1,
            users=self._users,
            listeners=self._listeners + len(BRIEFING.accounts),
            started=measured.started,
            ended=now,
            kinds=measured.kinds(seconds=seconds),
            event_latency=summarize(
                read_latencies(BRIEFING.heard_by_second, since=measured.started, until=now), seconds=seconds
            ),
            generator_lag_ms=percentile(sorted(measured.lags), 0.99) or 0.0,
            limited=measured.limited,
            lateness=summarize(
                read_latencies(BRIEFING.heard_by_second, since=measured.started, until=now, of="lateness_ms"),
                seconds=seconds,
            )
            if self._plan.mix["reminded"]
            else None,
        )
        step = replace(step, broken=broken_limits(step, self._plan.limits))
        self._steps.append(step)
        with BRIEFING.steps.open("ab") as lines:
            lines.write(orjson.dumps(asdict(step)) + b"\n")
