"""`make bench`: compares the API and pushes with their floors, and measures the path of events to the gateway.

It starts the real platform in a temporary folder, fills a workspace with tasks, and measures get, list, create, update
and move in turns with the floor, so that a change in the machine's speed affects both. Both are single processes on the
same database. The ratios count; absolute figures belong to the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import orjson
import uvloop

from event_path import EventPath
from figures import Figure, table
from http_client import Load, connect, paced, request, saturate
from push_floor import measure_clients
from push_simulator import push_simulator
from pushes import measure_pushes
from queries import query
from taskbell.capacity.service import UNLIMITED, running

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@contextmanager
def floor(*, database_url: str, actor: str, workspace: str) -> Iterator[int]:
    """Run the floor in one process; yield its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    environment = {
        **os.environ,
        "FLOOR_DATABASE_URL": database_url,
        "FLOOR_ACTOR": actor,
        "FLOOR_WORKSPACE": workspace,
    }
    command = [str(BIN / "python"), "-m", "uvicorn", "floor:app", "--port", str(port), "--loop", "uvloop"]
    command += ["--http", "httptools", "--no-access-log", "--log-level", "warning"]
    process = subprocess.Popen(command, env=environment, cwd=ROOT / "loadtests")
    try:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("bench: the floor did not start")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(30)


async def sign_in(host: str, port: int, *, email: str, password: str) -> dict[str, Any]:
    """Sign in; return the answer, with the account under `me`."""
    connection = await connect(host, port)
    body = orjson.dumps({"email": email, "password": password})
    answer = await connection.exchange(request("POST", "/v1/auth/login", body=body))
    tokens: dict[str, Any] = orjson.loads(answer.partition(b"\r\n\r\n")[2])
    answer = await connection.exchange(request("GET", "/v1/me", token=tokens["access_token"]))
    tokens["me"] = orjson.loads(answer.partition(b"\r\n\r\n")[2])
    connection.close()
    return tokens


async def fill(database_url: str, *, workspace: str, user: str, count: int, replicas: Sequence[str] = ()) -> list[str]:
    """Insert `count` tasks into a workspace; return some of their ids.

    It leaves nothing to be done later: the tasks are vacuumed, and the replicas have replayed them.
    """
    connection = await asyncpg.connect(database_url)
    done, step = 0, 50_000
    while done < count:
        size = min(step, count - done)
        await connection.execute(query("fill_workspace"), workspace, user, size)
        done += size
        sys.stderr.write(f"\rfilling: {done:,} of {count:,} tasks")
    sys.stderr.write("\n")
    await connection.execute("VACUUM (ANALYZE) tasks")
    position = await connection.fetchval(query("primary_position"))
    for address in replicas:
        replica = await asyncpg.connect(address)
        async with asyncio.timeout(600):
            while not await replica.fetchval(query("has_replayed"), position):  # noqa: ASYNC110 -- a server tells nobody
                await asyncio.sleep(0.1)
        await replica.close()
    ids = await connection.fetch(query("sample_tasks"), workspace)
    await connection.close()
    return [str(row[0]) for row in ids]


async def compare(
    name: str,
    *,
    ours: tuple[str, int],
    floor_port: int,
    make: Callable[[int], bytes],
    status: int,
    seconds: float,
    rounds: int,
) -> Figure:
    """Measure the API and the floor in turns, then the API at half of its peak.

    The ratio is the median of the rounds' ratios.
    """
    pairs: list[tuple[Load, Load]] = []
    for turn in range(rounds + 1):
        pair = [
            await saturate(
                host=host, port=port, make=make, seconds=seconds if turn else 1.0, connections=16, status=status
            )
            for host, port in (ours, ("127.0.0.1", floor_port))
        ]
        if turn:  # the first turn warms both up
            pairs.append((pair[0], pair[1]))
    best = [mine for mine, _ in pairs]
    peak = statistics.median(mine.per_second for mine in best)
    host, port = ours
    calm = await paced(host=host, port=port, make=make, rate=peak / 2, seconds=seconds, connections=64, status=status)
    return Figure(
        name=name,
        ours=round(peak),
        floor=round(statistics.median(theirs.per_second for _, theirs in pairs)),
        ratio=round(statistics.median(mine.per_second / theirs.per_second for mine, theirs in pairs), 2),
        unit="1/s",
        p50_ms=round(statistics.median(mine.percentile_ms(0.5) for mine in best), 2),
        p99_ms=round(statistics.median(mine.percentile_ms(0.99) for mine in best), 2),
        half_p99_ms=round(calm.percentile_ms(0.99), 2),
    )


def pick(ids: list[str], number: int) -> str:
    """One of the tasks, in no order."""
    return ids[number * 7919 % len(ids)]


def renamed(number: int) -> bytes:
    """A change of a title, each time another one."""
    return orjson.dumps({"title": f"Changed {number} at {time.time_ns()}"})


def next_to(ids: list[str], number: int) -> bytes:
    """A move next to another task than `pick` gives for the number."""
    return orjson.dumps({"after": pick(ids, number * 31 + 1)})


async def measure(run: dict[str, Any], folder: Path, arguments: argparse.Namespace) -> list[Figure]:
    """Run the whole comparison; `folder` is for files."""
    address = urlsplit(run["api_url"])
    ours = (address.hostname or "127.0.0.1", address.port or 80)
    signed_in = await sign_in(*ours, **run["demo"])
    token, me = signed_in["access_token"], signed_in["me"]
    workspace = me["personal_workspace_id"]
    ids = await fill(
        run["owner_database_url"],
        workspace=workspace,
        user=me["id"],
        count=arguments.tasks,
        replicas=run["replica_urls"],
    )
    bodies = b'{"title":"Benchmark task","priority":3}'
    makes: list[tuple[str, Callable[[int], bytes], int]] = [
        ("get", lambda n: request("GET", f"/v1/tasks/{ids[n % len(ids)]}", token=token), 200),
        ("list of 20", lambda _: request("GET", "/v1/tasks?limit=20", token=token), 200),
        ("create", lambda _: request("POST", "/v1/tasks", token=token, body=bodies), 201),
        ("update", lambda n: request("PATCH", f"/v1/tasks/{pick(ids, n)}", token=token, body=renamed(n)), 200),
        ("move", lambda n: request("POST", f"/v1/tasks/{pick(ids, n)}/move", token=token, body=next_to(ids, n)), 200),
    ]
    figures: list[Figure] = []
    with floor(database_url=run["owner_database_url"], actor=me["id"], workspace=workspace) as floor_port:
        for name, make, status in makes:
            sys.stderr.write(f"measuring: {name}\n")
            figures.append(
                await compare(
                    name,
                    ours=ours,
                    floor_port=floor_port,
                    make=make,
                    status=status,
                    seconds=arguments.seconds,
                    rounds=arguments.rounds,
                )
            )
    path = EventPath(run=run, ours=ours, token=token)
    await path.settle()
    sys.stderr.write("measuring: events\n")
    figures.append(await path.latency(rate=500, seconds=arguments.seconds * 2))
    sys.stderr.write("measuring: relay and gateway\n")
    figures += await path.backlog(seconds=arguments.seconds)
    figures.append(await path.frame_cost(seconds=arguments.seconds))
    sys.stderr.write("measuring: clients of push providers\n")
    with tempfile.TemporaryDirectory(prefix="taskbell-push-") as place, push_simulator(Path(place)) as simulated:
        figures += await measure_clients(simulated, seconds=arguments.seconds)
    sys.stderr.write("measuring: pushes\n")
    figures.append(await measure_pushes(run=run, me=me, folder=folder, count=arguments.pushes, rounds=2))
    return figures


def main() -> None:
    """Measure, print a table, write build/bench.json."""
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=1_000_000, help="tasks in the workspace (default: 1,000,000)")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of one turn (default: 5)")
    parser.add_argument("--rounds", type=int, default=5, help="measured turns of each side (default: 5)")
    parser.add_argument("--pushes", type=int, default=20_000, help="pushes of one turn (default: 20,000)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench.json", help="the JSON file")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="taskbell-bench-") as folder,
        running(Path(folder), own_session=False, settings={"TASKBELL_API_WORKERS": "1", **UNLIMITED}) as platform,
    ):
        figures = uvloop.run(measure(platform.run, Path(folder), arguments))
    print(table(figures))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
