"""How long reports take over millions of tasks of one workspace.

    .venv/bin/python loadtests/reports.py --tasks 1000000

It starts a platform in a temporary folder, fills a workspace with a year of tasks of a hundred assignees, lets the
relay count them, and asks for each report some times, one request after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from bench import sign_in
from http_client import Load, connect, request
from queries import query
from taskbell.capacity.service import UNLIMITED, running

_STEP = 50_000
_PEOPLE = 100


async def _fill(database_url: str, *, workspace: str, user: str, count: int) -> None:
    """Fill the workspace, and wait until all is counted."""
    connection = await asyncpg.connect(database_url)
    first = await connection.fetchval(query("newest_id"))
    people = [uuid4() for _ in range(_PEOPLE)]
    for done in range(0, count, _STEP):
        await connection.execute(query("fill_reports"), workspace, user, min(_STEP, count - done), people)
        sys.stderr.write(f"\rfilling: {done + _STEP:,} of {count:,} tasks")
    started = time.monotonic()
    await connection.execute(query("count_for_reports"), first)
    while not await connection.fetchval(query("reports_are_counted")):
        sys.stderr.write(f"\rcounting: {time.monotonic() - started:.0f} s")
        await asyncio.sleep(1)
    took = time.monotonic() - started
    print(f"{count:,} tasks were counted in {took:.0f} s: {await connection.fetchval(query('count_sums')):,} sums")
    await connection.execute("VACUUM (ANALYZE) report_cells")
    await connection.execute("ANALYZE tasks")
    await connection.close()


async def _measure(run: dict[str, Any], arguments: argparse.Namespace) -> None:
    address = urlsplit(run["api_url"])
    host, port = str(address.hostname), int(address.port or 80)
    signed_in = await sign_in(host, port, **run["demo"])
    me = signed_in["me"]
    workspace = me["personal_workspace_id"]
    await _fill(run["owner_database_url"], workspace=workspace, user=me["id"], count=arguments.tasks)
    today = datetime.now(UTC).date()
    days = f"from={today - timedelta(days=365)}&to={today}"
    asked = {
        f"{name} by {by}, a year": f"{name}?{days}&by={by}&time_zone=Asia/Kathmandu"
        for name in ("throughput", "cycle-time", "overdue")
        for by in ("day", "person")
    }
    asked["throughput by day, 30 days"] = "throughput"
    asked["cycle-time by day, 366 in a page"] = f"cycle-time?{days}&limit=366&time_zone=Asia/Kathmandu"
    asked["workload"] = "workload"
    connection = await connect(host, port)
    print(f"{'report':34}{'median ms':>10}{'most ms':>10}")
    for name, path in asked.items():
        load, raw = Load(), request("GET", f"/v1/reports/{path}", token=signed_in["access_token"])
        for _ in range(arguments.times):
            started = time.perf_counter()
            answer = await connection.exchange(raw)
            load.durations.append(time.perf_counter() - started)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(answer[:600].decode())
        print(f"{name:34}{load.percentile_ms(0.5):10.1f}{load.percentile_ms(1.0):10.1f}")
    connection.close()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Measure how long reports take.")
    parser.add_argument("--tasks", type=int, default=1_000_000, help="tasks of the workspace")
    parser.add_argument("--times", type=int, default=20, help="requests for each report")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="taskbell-reports-") as folder,
        running(Path(folder), settings=UNLIMITED) as platform,
    ):
        asyncio.run(_measure(platform.run, arguments))


if __name__ == "__main__":
    main()
