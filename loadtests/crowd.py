"""A crowd at one gateway process while tasks are created: whether each frame comes once, how late, and the memory.

    .venv/bin/python loadtests/crowd.py --listeners 10000 --rate 500 --seconds 30

It starts a platform in a temporary folder. Each listener is another user with one connection, in a team of ten; each
task is created by a member of a team through the API, and all ten listeners of the team must get it. Status 1: they did
not. The time of an event is that of its row, just before the commit; its lateness ends when the frame was read here.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import orjson
import psutil
import uvloop

from http_client import HttpConnection, connect, request
from lean_listener import LeanListener, dial, handshake
from queries import query
from taskbell.capacity.processor import GENERATOR, Sampler
from taskbell.capacity.service import PASSWORD, UNLIMITED, PlatformUnderLoad, running
from taskbell.capacity.steps import percentile
from taskbell.contract.events import EventType
from taskbell.contract.frames import ServerFrame

_SETTINGS = {
    **UNLIMITED,
    "TASKBELL_GATEWAY_WORKERS": "1",
    "TASKBELL_GATEWAY_MAX_CONNECTIONS": "100000",
    "TASKBELL_PASSWORD_HASH_MEMORY_KIB": "8",  # ten thousand sign-ups are no part of the measurement
    "TASKBELL_PASSWORD_HASH_ITERATIONS": "1",
}
_TEAM = 10
_AT_ONCE = 500
"""Handshakes at a time."""
_CONNECTIONS = 32
_SETTLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Team:
    """The people of a workspace: their tokens."""

    workspace: str
    tokens: Sequence[str]


@dataclass(slots=True)
class Heard:
    """What one listener of a team got: ids of tasks that were created."""

    team: int
    tasks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Frames that were due, and those that did not come, came again, or were none of the listener's business."""

    due: int
    lost: int
    double: int
    strange: int

    @property
    def is_exact(self) -> bool:
        """Whether every frame came once."""
        return (self.lost, self.double, self.strange) == (0, 0, 0)


def count(created: Mapping[int, Iterable[str]], heard: Iterable[Heard]) -> Counts:
    """Compare what each listener got with the tasks that were created in its team."""
    due = lost = double = strange = 0
    wanted = {team: set(tasks) for team, tasks in created.items()}
    for listener in heard:
        mine, times = wanted.get(listener.team, set()), Counter(listener.tasks)
        due += len(mine)
        lost += len(mine - times.keys())
        strange += sum(times[task] for task in times.keys() - mine)
        double += sum(times[task] - 1 for task in times.keys() & mine)
    return Counts(due=due, lost=lost, double=double, strange=strange)


class Crowd:
    """The listeners, and what they got."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.heard: list[Heard] = []
        self.late_ms = array("d")
        self.frames = 0
        self.closed = 0
        self._listeners: list[LeanListener] = []

    async def gather(self, teams: Sequence[Team], *, port: int) -> None:
        """Connect everybody, some at a time."""
        places = [(number, token, team) for number, team in enumerate(teams) for token in team.tokens]
        for start in range(0, len(places), _AT_ONCE):
            some = places[start : start + _AT_ONCE]
            requests = [handshake(token, f"?channels=workspace:{team.workspace}") for _, token, team in some]
            for (number, _, _), listener in zip(
                some, await dial([port], requests, lambda one: bool(one.texts)), strict=True
            ):
                listener.place = len(self.heard)
                self.heard.append(Heard(number))
                listener.done, listener.lost = self._take, self._close
                self._listeners.append(listener)
                self._take(listener)
            sys.stderr.write(f"\r{len(self.heard):,} listeners")
        sys.stderr.write("\n")

    def leave(self) -> None:
        """Disconnect everybody."""
        for listener in self._listeners:
            listener.lost = lambda _: None
            listener.close()

    def _close(self, _: LeanListener) -> None:
        self.closed += 1

    def _take(self, listener: LeanListener) -> None:
        now = time.time()
        for text in listener.texts:
            frame = orjson.loads(text)
            if frame["t"] == ServerFrame.EVENT and frame["event"]["type"] == EventType.TASK_CREATED:
                self.frames += 1
                self.heard[listener.place].tasks.append(frame["event"]["subject"])
                self.late_ms.append((now - datetime.fromisoformat(frame["event"]["time"]).timestamp()) * 1000)
        listener.texts.clear()


async def _by_all(
    address: tuple[str, int], number: int, work: Callable[[HttpConnection, int], Awaitable[None]], *, rate: float = 0.0
) -> float:
    """Do `number` works on a few connections, at a steady rate if one is given; return the seconds that it took."""
    free = asyncio.Queue[HttpConnection]()
    for _ in range(_CONNECTIONS):
        free.put_nowait(await connect(*address))

    async def one(connection: HttpConnection, place: int) -> None:
        await work(connection, place)
        free.put_nowait(connection)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for place in range(number):
            if rate:
                await asyncio.sleep(max(0.0, started + place / rate - time.perf_counter()))
            group.create_task(one(await free.get(), place))
    took = time.perf_counter() - started
    while not free.empty():
        free.get_nowait().close()
    return took


def _document(answer: bytes) -> dict[str, Any]:
    """The document of an answer that must be 201."""
    if not answer.startswith(b"HTTP/1.1 201"):
        raise SystemExit(f"crowd: {answer[:300]!r}")
    found: dict[str, Any] = orjson.loads(answer.partition(b"\r\n\r\n")[2])
    return found


async def make_teams(address: tuple[str, int], database_url: str, *, listeners: int) -> list[Team]:
    """Register as many people, and join them to teams."""
    people = [("", "")] * listeners

    async def register(connection: HttpConnection, place: int) -> None:
        body = orjson.dumps({"email": f"crowd-{place}@example.com", "password": PASSWORD})
        made = _document(await connection.exchange(request("POST", "/v1/auth/register", body=body)))
        people[place] = made["user"]["id"], made["access_token"]

    await _by_all(address, listeners, register)
    teams = []
    connection = await asyncpg.connect(database_url)
    for start in range(0, listeners, _TEAM):
        members = people[start : start + _TEAM]
        owner, *mates = [user for user, _ in members]
        workspace = await connection.fetchval(query("join_team"), owner, mates)
        teams.append(Team(workspace, [token for _, token in members]))
    await connection.close()
    return teams


async def _watch_clock(lags_ms: array[float]) -> None:
    """Note by how much this process itself is late."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.01)
        lags_ms.append((time.perf_counter() - before - 0.01) * 1000)


def _say_late(name: str, values: Iterable[float]) -> None:
    ordered = sorted(values)
    p50, p99, most = (percentile(ordered, share) or 0.0 for share in (0.5, 0.99, 1.0))
    print(f"{name}: {p50:.1f} ms p50, {p99:.1f} ms p99, {most:.1f} ms at most")


async def measure(platform: PlatformUnderLoad, *, listeners: int, rate: float, seconds: float) -> bool:
    """Measure and print; tell whether every frame came once."""
    run, gateway = platform.run, psutil.Process(platform.processes()["gateway"])
    where = urlsplit(run["api_url"])
    address = str(where.hostname), int(where.port or 80)
    teams = await make_teams(address, run["owner_database_url"], listeners=listeners)
    crowd, before = Crowd(), gateway.memory_info().rss
    began = time.monotonic()
    await crowd.gather(teams, port=int(urlsplit(run["gateway_url"]).port or 80))
    took, idle = time.monotonic() - began, gateway.memory_info().rss
    print(f"{listeners:,} listeners in {took:.1f} s: {(idle - before) / listeners / 1024:.1f} KiB of memory for each")
    created: dict[int, list[str]] = {number: [] for number in range(len(teams))}

    async def create(connection: HttpConnection, place: int) -> None:
        number = place % len(teams)
        team = teams[number]
        body = orjson.dumps({"title": f"Task {place}", "priority": 5, "workspace_id": team.workspace})
        token = team.tokens[place // len(teams) % len(team.tokens)]
        answer = await connection.exchange(request("POST", "/v1/tasks", token=token, body=body))
        created[number].append(_document(answer)["id"])

    lags_ms = array("d")
    watching = asyncio.create_task(_watch_clock(lags_ms))
    sampler = Sampler(lambda: {**platform.processes(), GENERATOR: psutil.Process().pid})
    sampler.sample()
    creating = await _by_all(address, int(rate * seconds), create, rate=rate)
    sampler.sample()
    due = sum(len(created[one.team]) for one in crowd.heard)
    deadline = time.monotonic() + _SETTLE_SECONDS
    while crowd.frames < due and time.monotonic() < deadline:  # noqa: ASYNC110 -- and asks what came
        await asyncio.sleep(0.1)
    watching.cancel()
    counts = count(created, crowd.heard)
    total = sum(map(len, created.values()))
    print(f"{total:,} tasks created in {creating:.1f} s: {total / creating:,.0f} a second, {crowd.frames:,} frames")
    print(
        f"frames due {counts.due:,}, lost {counts.lost:,}, double {counts.double:,}, strange {counts.strange:,};"
        f" connections that closed {crowd.closed:,}"
    )
    _say_late("commit to frame", crowd.late_ms)
    _say_late("this process was late by", lags_ms)
    resident = gateway.memory_info().rss
    print(f"gateway: {resident / 2**20:.0f} MiB, {(resident - before) / listeners / 1024:.1f} KiB for each listener")
    if (used := sampler.between(0, time.time())) is not None:
        parts = ", ".join(f"{part} {cores:.2f}" for part, cores in used.by_part.items() if cores >= 0.005)
        print(f"cores of {used.cores}: {parts}, this process {used.generator:.2f}, others {used.others:.2f}")
    crowd.leave()
    return counts.is_exact and crowd.closed == 0


def main() -> None:
    """Run it; the status tells whether every frame came once."""
    parser = argparse.ArgumentParser(prog="crowd", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--listeners", type=int, default=10_000, help="listeners (default: 10,000)")
    parser.add_argument("--rate", type=float, default=500.0, help="tasks created a second (default: 500)")
    parser.add_argument("--seconds", type=float, default=30.0, help="seconds of creations (default: 30)")
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the gateway inherits it
    with (
        tempfile.TemporaryDirectory(prefix="taskbell-crowd-") as folder,
        running(Path(folder), own_session=False, settings=_SETTINGS) as platform,
    ):
        options = {"listeners": arguments.listeners, "rate": arguments.rate, "seconds": arguments.seconds}
        is_exact = uvloop.run(measure(platform, **options))
    raise SystemExit(0 if is_exact else 1)


if __name__ == "__main__":
    main()
