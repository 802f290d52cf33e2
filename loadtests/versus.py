"""Compares two versions: requests a second in turns, and the processor time that one request costs each process.

    .venv/bin/python loadtests/versus.py --old /path/to/other/checkout/.venv/bin/python

Both platforms run at the same time on the same machine, each with one API process, and are loaded in turns. After each
turn it waits until all events are carried, so that their cost counts. Without `--old` it measures this version alone.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil
import uvloop

from bench import fill, next_to, pick, renamed, sign_in
from event_path import EventPath
from http_client import request, saturate
from queries import query
from taskbell.capacity.service import UNLIMITED, PlatformUnderLoad, running

_RESTING = 0.03
"""Processor time (s) of all processes in a second in which they count as idle."""


@dataclass(slots=True)
class Side:
    """One version with its platform, and what was measured of it."""

    name: str
    platform: PlatformUnderLoad
    path: EventPath
    ids: list[str]
    rates: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    costs: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def makes(self) -> dict[str, tuple[Callable[[int], bytes], int]]:
        """The requests, with the status of each."""
        token, ids = self.path.token, self.ids
        return {
            "create": (
                lambda _: request("POST", "/v1/tasks", token=token, body=b'{"title":"Benchmark task","priority":3}'),
                201,
            ),
            "update": (lambda n: request("PATCH", f"/v1/tasks/{pick(ids, n)}", token=token, body=renamed(n)), 200),
            "move": (
                lambda n: request("POST", f"/v1/tasks/{pick(ids, n)}/move", token=token, body=next_to(ids, n)),
                200,
            ),
            "get": (lambda n: request("GET", f"/v1/tasks/{pick(ids, n)}", token=token), 200),
            "list of 20": (lambda _: request("GET", "/v1/tasks?limit=20", token=token), 200),
        }

    async def turn(self, kind: str, *, seconds: float, counts: bool) -> None:
        """Load it for some seconds with one kind of request; note the rate and the cost of each process."""
        make, status = self.makes()[kind]
        before = await self._spent()
        load = await saturate(
            host=self.path.ours[0],
            port=self.path.ours[1],
            make=make,
            seconds=seconds,
            connections=16,
            status=status,
        )
        await self.path.settle()
        after = await self._spent()
        if counts:
            self.rates[kind].append(load.per_second)
            for part, spent in after.items():
                self.costs[kind][part].append((spent - before.get(part, 0.0)) / len(load.durations) * 1e6)

    async def _spent(self) -> dict[str, float]:
        """The processor time (s) of each process, and of PostgreSQL by role, once all are idle."""
        known = await self._now()
        while True:
            await asyncio.sleep(1)
            now = await self._now()
            if sum(now.values()) - sum(known.values()) < _RESTING * len(now):
                return now
            known = now

    async def _now(self) -> dict[str, float]:
        connection = await asyncpg.connect(self.platform.run["owner_database_url"])
        roles = {row[0]: row[1] for row in await connection.fetch(query("roles_of_backends"))}
        await connection.close()
        spent: dict[str, float] = defaultdict(float)
        for name, pid in self.platform.processes().items():
            process = psutil.Process(pid)
            for each in [process, *process.children(recursive=True)] if name != "up" else [process]:
                try:
                    times = each.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                part = f"postgres: {roles.get(each.pid, 'others')}" if name == "postgres" else name
                spent[part] += times.user + times.system
                if name == "postgres" and each == process:
                    spent[part] += times.children_user + times.children_system
        return spent


async def start(name: str, platform: PlatformUnderLoad, *, tasks: int) -> Side:
    """Sign in to a platform and fill it."""
    address = urlsplit(platform.run["api_url"])
    ours = (address.hostname or "127.0.0.1", address.port or 80)
    signed_in: dict[str, Any] = await sign_in(*ours, **platform.run["demo"])
    me = signed_in["me"]
    owner = platform.run["owner_database_url"]
    ids = await fill(owner, workspace=me["personal_workspace_id"], user=me["id"], count=tasks)
    return Side(name, platform, EventPath(run=platform.run, ours=ours, token=signed_in["access_token"]), ids)


def table(kind: str, sides: list[Side]) -> str:
    """Return the figures of one kind of request as a table: medians of the turns."""
    lines = [f"{kind:28}" + "".join(f"{side.name:>12}" for side in sides)]
    lines.append(f"{'  requests/s':28}" + "".join(f"{statistics.median(side.rates[kind]):>12,.0f}" for side in sides))
    parts = sorted({part for side in sides for part in side.costs[kind]})
    sums = [0.0] * len(sides)
    for part in parts:
        costs = [statistics.median(side.costs[kind][part] or [0.0]) for side in sides]
        sums = [total + cost for total, cost in zip(sums, costs, strict=True)]
        if max(costs) >= 1:
            lines.append(f"  {part + ', µs':26}" + "".join(f"{cost:>12,.0f}" for cost in costs))
    lines.append(f"{'  all, µs':28}" + "".join(f"{total:>12,.0f}" for total in sums))
    if len(sides) == 2:
        ratios = [new / old for old, new in zip(sides[0].rates[kind], sides[1].rates[kind], strict=True)]
        lines.append(f"{'  new/old, median of turns':28}{statistics.median(ratios):>24,.2f}")
    return "\n".join(lines)


async def measure(platforms: dict[str, PlatformUnderLoad], arguments: argparse.Namespace) -> None:
    """Load all platforms in turns and print what was found."""
    sides = [await start(name, platform, tasks=arguments.tasks) for name, platform in platforms.items()]
    for kind in arguments.kinds.split(","):
        for turn in range(arguments.rounds + 1):
            for side in sides:
                await side.turn(kind, seconds=arguments.seconds if turn else 1.0, counts=turn > 0)
        print(table(kind, sides), flush=True)


def main() -> None:
    """Start one or two platforms, measure, print tables."""
    parser = argparse.ArgumentParser(prog="versus", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--old", help="the Python of another checkout's environment")
    parser.add_argument("--tasks", type=int, default=100_000, help="tasks in the workspace (default: 100,000)")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of one turn (default: 5)")
    parser.add_argument("--rounds", type=int, default=5, help="measured turns of each version (default: 5)")
    parser.add_argument("--kinds", default="create,update,move,get,list of 20", help="what to measure")
    arguments = parser.parse_args()
    settings = {"TASKBELL_API_WORKERS": "1", **UNLIMITED}
    pythons = ({"old": arguments.old} if arguments.old else {}) | {"new": sys.executable}
    with ExitStack() as stack:
        platforms = {}
        for name, python in pythons.items():
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"taskbell-{name}-"))
            started = running(Path(folder), own_session=False, settings=settings, python=python)
            platforms[name] = stack.enter_context(started)
        uvloop.run(measure(platforms, arguments))


if __name__ == "__main__":
    main()
