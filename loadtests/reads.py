"""How many more reads one replica allows where PostgreSQL is the limit.

    .venv/bin/python loadtests/reads.py

The primary has one core, the replica another one; the API and this program take what is left of both. Users read
filtered lists, which cost PostgreSQL many times what they cost the API: first from the primary alone, then from both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import uvloop

from bench import fill
from http_client import Load, request, saturate
from taskbell.capacity.briefing import Account
from taskbell.capacity.service import UNLIMITED, PlatformUnderLoad, make_teams, running

_LIST = "limit=100&sort=created_at&status=completed&priority=5"
"""One of twenty tasks matches, and no index finds it: a page reads 2,000 tasks."""


def pin(platform: PlatformUnderLoad) -> None:
    """Give each of the two servers its core, with all its processes; later ones inherit it."""
    processes = platform.processes()
    for name, core in (("postgres", 0), ("postgres-replica", 1)):
        server = psutil.Process(processes[name])
        for each in (server, *server.children(recursive=True)):
            each.cpu_affinity([core])


async def measure(platform: PlatformUnderLoad, users: list[Account], arguments: argparse.Namespace) -> Load:
    """Fill the workspaces and read."""
    for user in users[: len(users) // 2]:  # the owners
        await fill(
            platform.run["owner_database_url"], workspace=user.workspace_id, user=user.user_id, count=arguments.tasks
        )
    pin(platform)
    address = urlsplit(platform.run["api_url"])
    makes = [request("GET", f"/v1/tasks?workspace_id={each.workspace_id}&{_LIST}", token=each.token) for each in users]

    async def read(seconds: float) -> Load:
        return await saturate(
            host=address.hostname or "",
            port=address.port or 80,
            make=lambda number: makes[number % len(makes)],
            seconds=seconds,
            connections=32,
            status=200,
        )

    await read(3.0)  # connections are opened, plans are made
    return await read(arguments.seconds)


def main() -> None:
    """Measure both in turns and print the ratio of the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=5_000, help="tasks of each workspace (default: 5,000)")
    parser.add_argument("--teams", type=int, default=16, help="workspaces of two users (default: 16)")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds of one turn (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: 3)")
    arguments = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        parser.error("two cores are needed")
    alone = {"TASKBELL_DATABASE_REPLICA_URLS": ""}
    rates: dict[str, list[float]] = {"primary alone": [], "with a replica": []}
    for _ in range(arguments.rounds):
        for name, settings in zip(rates, (alone, {}), strict=True):
            with (
                tempfile.TemporaryDirectory(prefix="taskbell-reads-") as folder,
                running(Path(folder), own_session=False, settings=UNLIMITED | settings) as platform,
            ):
                users = make_teams(platform.run["api_url"], run="reads", teams=arguments.teams)
                load = uvloop.run(measure(platform, users, arguments))
            rates[name].append(load.per_second)
            sys.stderr.write(f"{name}: {load.per_second:.0f} lists/s, p99 {load.percentile_ms(0.99):.0f} ms\n")
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, rate in medians.items():
        print(f"{name}: {rate:.0f} lists/s")
    print(f"ratio {medians['with a replica'] / medians['primary alone']:.2f}")


if __name__ == "__main__":
    main()
