"""What a user of the platform does, as a program in a pod: it goes through the Services, as an Ingress does.

`real_cluster.users` runs it with the Python of an image. It prints a JSON document when it is under way, and one at its
end; a line on standard input, or its end, lets it go on.

    user.py tour    API GATEWAY              one user's way through the API and the WebSocket
    user.py load    API GATEWAY PER_SECOND   create tasks at a rate and listen, until a line comes
    user.py reads   API GATEWAY              change a task and read it at any API pod until a line comes
    user.py sockets API GATEWAY COUNT        hold connections; after a line a tenth of them, after another one none
"""

import asyncio
import contextlib
import json
import secrets
import sys
import time
from collections import Counter

import httpx

from taskbell.client.connection import Connection, Frame
from taskbell.client.following import follow

ATTEMPTS = 240
PAUSE = 0.5
"""A request is tried this often, with this many seconds between two attempts: longer than a killed pod is away."""
HEARD_WITHIN = 90.0
POSITION = "Taskbell-Consistency"
PER_USER = 50
"""Connections of one user; a gateway permits no more by default."""


def say(**what):
    """Print a JSON document."""
    print(json.dumps(what), flush=True)  # noqa: T201 -- its caller reads it


class User:
    """A new user with a workspace of their own."""

    def __init__(self, api, gateway, kept=20):
        """Take the addresses of the Services and how many connections are kept; `register` makes the user."""
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=kept)
        self.http = httpx.AsyncClient(base_url=api, timeout=15, limits=limits, trust_env=False)
        self.gateway = gateway
        self.failures = []
        """What each failed attempt met."""
        self.token = self.workspace = ""
        self.position = 0
        """What the user has seen, by the last answers."""

    async def register(self):
        """Register, sign in with the password, and read the personal workspace."""
        account = {"email": f"{secrets.token_hex(8)}@example.com", "password": "correct horse battery"}
        await self.call("POST", "/v1/auth/register", {**account, "name": "Ann"})
        self.token = (await self.call("POST", "/v1/auth/login", account))["access_token"]
        self.http.headers["Authorization"] = f"Bearer {self.token}"
        (workspace,) = (await self.call("GET", "/v1/workspaces"))["items"]
        self.workspace = workspace["id"]

    async def call(self, method, path, body=None, **query):
        """Send a request until it succeeds, as a careful client does; return the document.

        That client repeats with the same key once it is signed in, and tells what it has seen.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16)} if method == "POST" and self.token else {}
        if self.position:
            headers[POSITION] = str(self.position)
        for attempt in range(ATTEMPTS):
            began = time.time()
            try:
                answer = await self.http.request(method, path, json=body, params=query, headers=headers)
                if answer.is_success:
                    self.position = max(self.position, int(answer.headers.get(POSITION, 0)))
                    return answer.json() if answer.content else None
                failed = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code in {400, 401, 403, 404, 422}:
                    raise SystemExit(f"{method} {path}: {failed}")
            except httpx.TransportError as broken:
                failed = repr(broken)
            self.failures.append(f"{method} {path} at {began:.1f} after {time.time() - began:.1f} s: {failed}")
            await asyncio.sleep(PAUSE * (attempt > 0))
        raise SystemExit(f"{method} {path} failed {ATTEMPTS} times, last: {failed}")

    async def connect(self, cursor):
        """Open a connection to the gateway that listens to the workspace."""
        connection = await Connection.open(self.gateway, bearer=self.token, cursor=cursor, proxy=None)
        await connection.hello(channels=[f"workspace:{self.workspace}"])
        return connection


class Listener:
    """Hears the events of a workspace over any number of connections."""

    def __init__(self, user):
        """Take the user; `listen` connects."""
        self.user = user
        self.open = asyncio.Event()
        self.events = Counter()
        self.tasks = set()
        self.ends, self.gaps = [], 0

    async def listen(self):
        """Listen until cancelled."""
        async with contextlib.aclosing(follow(self.user.connect, longest_pause=2.0)) as found:
            async for one in found:
                if not isinstance(one, Frame):
                    self.ends.append(one.reason)
                elif one.kind == "welcome":
                    self.gaps += one.fields["resume"] == "gap"
                    self.open.set()
                elif one.kind == "event":
                    self.take(one.fields["event"])

    def take(self, event):
        """Count an event."""
        self.events[event["id"]] += 1
        if event["type"] == "task.created":
            self.tasks.add(event["data"]["id"])


async def tour(api, gateway):
    """Walk through what each client needs; each step ends with a check of what the user sees."""
    user = User(api, gateway)
    await user.register()
    say(registered=True)
    async with await user.connect(None) as connection:
        frames = aiter(connection)
        welcome = await anext(frames)
        bell = await user.call("POST", "/v1/tasks", {"title": "Ring the bell", "priority": 1})
        rope = await user.call("POST", "/v1/tasks", {"title": "Buy a rope", "priority": 2})
        heard = [frame.fields["event"] async for frame in taken(frames, "event", 2)]
        await user.call("POST", f"/v1/tasks/{rope['id']}/move", {"before": bell["id"]})
        listed = await user.call("GET", "/v1/tasks", sort="position")
        feed = await user.call("GET", "/v1/events", workspace_id=user.workspace)
    say(
        welcome=welcome.kind,
        heard=[(event["type"], event["data"]["title"]) for event in heard],
        listed=[task["title"] for task in listed["items"]],
        feed=[event["type"] for event in (item.get("event", item) for item in feed["items"])],
        failures=user.failures,
    )


async def taken(frames, kind, count):
    """Yield the next frames of a kind."""
    while count and (frame := await asyncio.wait_for(anext(frames), 30)):
        if frame.kind == kind:
            count -= 1
            yield frame


async def load(api, gateway, per_second):
    """Create tasks at a rate while listening; tell at the end what failed, was lost or came twice."""
    user = User(api, gateway)
    await user.register()
    listener = Listener(user)
    listening = asyncio.create_task(listener.listen())
    await asyncio.wait_for(listener.open.wait(), 60)
    created, durations, creating = [], [], set()
    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.readline))

    async def create(number):
        began = time.monotonic()
        created.append((await user.call("POST", "/v1/tasks", {"title": f"task {number}"}))["id"])
        durations.append(time.monotonic() - began)

    began, number = time.monotonic(), 0
    while not ended.done():
        task = asyncio.create_task(create(number))
        creating.add(task)
        task.add_done_callback(creating.discard)
        number += 1
        if number == per_second:
            say(started=True)
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
    seconds = time.monotonic() - began
    await asyncio.gather(*creating)
    deadline = time.monotonic() + HEARD_WITHIN
    while not listener.tasks >= set(created) and time.monotonic() < deadline:  # noqa: ASYNC110 -- a set that grows
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)  # what comes twice may come now
    listening.cancel()
    durations.sort()
    say(
        seconds=round(seconds, 1),
        asked=number,
        created=len(set(created)),
        stored=await count(user),
        failures=user.failures,
        lost=len(set(created) - listener.tasks),
        foreign=len(listener.tasks - set(created)),
        double=sum(times - 1 for times in listener.events.values()),
        gaps=listener.gaps,
        reconnects=listener.ends,
        p50_ms=round(durations[len(durations) // 2] * 1000),
        slowest_ms=round(durations[-1] * 1000),
    )


async def reads(api, gateway):
    """Change a task and read it, each time over a new connection and so at any pod; tell how often it was too old."""
    user = User(api, gateway, kept=0)
    await user.register()
    task = await user.call("POST", "/v1/tasks", {"title": "Ring the bell"})
    say(started=True)
    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.readline))
    changes = old = 0
    while not ended.done():
        changed = await user.call("PATCH", f"/v1/tasks/{task['id']}", {"title": f"Ring it {changes} times"})
        changes += 1
        for pause in (0.0, 0.05, 0.2):
            await asyncio.sleep(pause)
            old += (await user.call("GET", f"/v1/tasks/{task['id']}"))["version"] < changed["version"]
    say(changes=changes, old=old, failures=user.failures)


async def count(user):
    """Count the workspace's tasks, page by page."""
    found, cursor = 0, {}
    while True:
        page = await user.call("GET", "/v1/tasks", limit=1000, **cursor)
        found += len(page["items"])
        if not page["meta"]["has_more"]:
            return found
        cursor = {"cursor": page["meta"]["next_cursor"]}


async def sockets(api, gateway, wanted):
    """Hold connections, each of which listens and comes back; tell at the end whether one of the last missed any."""
    listeners, tasks = [], {}
    for start in range(0, wanted, PER_USER):
        user = User(api, gateway)
        await user.register()
        some = [Listener(user) for _ in range(min(PER_USER, wanted - start))]
        tasks |= {listener: asyncio.create_task(listener.listen()) for listener in some}
        await asyncio.wait_for(asyncio.gather(*(listener.open.wait() for listener in some)), 120)
        listeners += some
    users = {listener.user: set() for listener in listeners}
    say(open=wanted)
    await ticking(users)
    few = listeners[::10]
    for listener in set(listeners) - set(few):
        tasks[listener].cancel()
    await ticking(users)
    deadline = time.monotonic() + HEARD_WITHIN
    while any(users[one.user] - one.tasks for one in few) and time.monotonic() < deadline:  # noqa: ASYNC110 -- they grow
        await asyncio.sleep(0.2)
    for task in tasks.values():
        task.cancel()
    say(
        created=sum(map(len, users.values())),
        lost=sum(len(users[one.user] - one.tasks) for one in few),
        double=sum(times - 1 for one in few for times in one.events.values()),
        gaps=sum(one.gaps for one in few),
        reconnects=sum(len(one.ends) for one in listeners),
        failures=[failure for user in users for failure in user.failures],
    )


async def ticking(users):
    """Create a task for one user after the other until a line comes; note the tasks of each."""
    line = asyncio.ensure_future(asyncio.to_thread(sys.stdin.readline))
    while not line.done():
        for user, created in users.items():
            created.add((await user.call("POST", "/v1/tasks", {"title": "tick"}))["id"])
            await asyncio.sleep(0.2)
            if line.done():
                break


if __name__ == "__main__":
    what, *addresses_and_count = sys.argv[1:]
    addresses, numbers = addresses_and_count[:2], map(int, addresses_and_count[2:])
    asyncio.run({"tour": tour, "load": load, "reads": reads, "sockets": sockets}[what](*addresses, *numbers))
