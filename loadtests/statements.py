"""What the API's statements cost PostgreSQL, next to plain ones of the schema's owner that write the same rows.

    .venv/bin/python loadtests/statements.py

One connection each, in turns. The figure is the processor time of the connection's backend for each statement, with its
commit; the time that the client waits is printed next to it. Statements are read from `--source`, a checkout.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import psutil
import uvloop

from bench import ROOT, fill, pick, sign_in
from queries import query
from taskbell.capacity.service import UNLIMITED, running

_NAME = re.compile(r"--[^\n]*|(?<!:):([a-z_]+)")
_DOCUMENT = "x" * 470
"""As long as the document of the task that is created."""


@dataclass(slots=True)
class Contender:
    """A statement on its connection. Figures are µs for each run of it."""

    connection: asyncpg.Connection
    text: str
    arguments: Callable[[int], tuple[Any, ...]]
    spent: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    async def turn(self, *, first: int, count: int, counts: bool) -> None:
        """Run it `count` times."""
        statement = await self.connection.prepare(self.text)
        process = psutil.Process(self.connection.get_server_pid())
        before, started = _spent(process), time.perf_counter()
        for number in range(first, first + count):
            await statement.fetch(*self.arguments(number))
        waited, spent = time.perf_counter() - started, _spent(process) - before
        if counts:
            self.spent.append(spent / count * 1e6)
            self.waited.append(waited / count * 1e6)


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def numbered(text: str) -> tuple[str, list[str]]:
    """Return a statement with numbered parameters, and their names in that order."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] is None:
            return ""
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return _NAME.sub(number, text), names


def statement_of(source: Path, name: str) -> tuple[str, list[str]]:
    """Return one of the API's statements in a checkout: a call of a function of that name, or the statement itself."""
    function = source / "api/taskbell/store/schema/functions" / f"{name}.sql"
    if not function.exists():
        return numbered((source / "api/taskbell/api/tasks/queries" / f"{name}.sql").read_text())
    (parameters,) = re.findall(rf"FUNCTION taskbell\.{name}\(([^)]*)\)", function.read_text())
    names = [part.split()[0] for part in parameters.split(",") if part.split()[0] != "OUT"]
    places = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    return query("call").replace("taskbell.actor()", f"taskbell.{name}({places})"), names


def ours(connection: asyncpg.Connection, source: Path, name: str, values: Callable[[int], dict[str, Any]]) -> Contender:
    """One of the API's statements."""
    text, names = statement_of(source, name)
    return Contender(connection, text, lambda n: tuple(values(n)[name] for name in names))


async def measure(run: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Measure each pair in turns and print the medians."""
    address = urlsplit(run["api_url"])
    me = (await sign_in(address.hostname or "", address.port or 80, **run["demo"]))["me"]
    user, workspace = UUID(me["id"]), UUID(me["personal_workspace_id"])
    ids = await fill(run["owner_database_url"], workspace=str(workspace), user=str(user), count=arguments.tasks)
    api = await asyncpg.connect(run["database_url"])
    owner = await asyncpg.connect(
        run["owner_database_url"], server_settings={"plan_cache_mode": "force_generic_plan", "timezone": "UTC"}
    )
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    fields = {"description": None, "status": "pending", "priority": 3, "start_at": None, "due_at": None}
    common = {"actor": user, "workspace_id": workspace, "traceparent": trace, "leads": [], "assignee_ids": []}
    change: dict[str, Any] = {"only_version": None, "only_workspace": None, "held": [], "brimful": []}
    pairs = {
        "create": (
            ours(api, arguments.source, "create_task", lambda _: {**fields, **common, "title": "Benchmark task"}),
            Contender(
                owner, query("plain_create"), lambda _: (workspace, user, "Benchmark task", 3, f'"{_DOCUMENT}"', trace)
            ),
        ),
    }
    if (arguments.source / "api/taskbell/store/schema/functions/change_task.sql").exists():
        pairs["update"] = (
            ours(
                api,
                arguments.source,
                "change_task",
                lambda n: {
                    **fields,
                    **common,
                    **change,
                    "task_id": UUID(pick(ids, n)),
                    "sent": ["title"],
                    "title": f"Changed {n} at {time.time_ns()}",
                },
            ),
            Contender(
                owner,
                query("plain_update"),
                lambda n: (
                    UUID(pick(ids, n)),
                    user,
                    f"Changed {n} at {time.time_ns()}",
                    f'"{_DOCUMENT}"',
                    trace,
                    workspace,
                ),
            ),
        )
        pairs["move"] = (
            ours(
                api,
                arguments.source,
                "move_task",
                lambda n: {
                    **common,
                    "task_id": UUID(pick(ids, n)),
                    "anchor_id": UUID(pick(ids, n * 31 + 1)),
                    "goes_before": False,
                    "held": [],
                },
            ),
            Contender(
                owner,
                query("plain_move"),
                lambda n: (UUID(pick(ids, n)), user, n * 1000 + 1, f'"{_DOCUMENT}"', trace, workspace),
            ),
        )
    for name, pair in pairs.items():
        for turn in range(arguments.rounds + 1):
            for one in pair:
                await one.turn(first=turn * arguments.count, count=arguments.count, counts=turn > 0)
        spent = [statistics.median(one.spent) for one in pair]
        waited = [statistics.median(one.waited) for one in pair]
        ratio = statistics.median(mine / plain for mine, plain in zip(pair[0].spent, pair[1].spent, strict=True))
        print(
            f"{name:8} CPU of the backend: {spent[0]:6.0f} µs, plain {spent[1]:6.0f} µs, ratio {ratio:.2f};"
            f" waited: {waited[0]:6.0f} µs, plain {waited[1]:6.0f} µs, ratio {waited[0] / waited[1]:.2f}",
            flush=True,
        )
    await asyncio.gather(api.close(), owner.close())


def main() -> None:
    """Start a platform, measure, print."""
    parser = argparse.ArgumentParser(prog="statements", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=100_000, help="tasks in the workspace (default: 100,000)")
    parser.add_argument("--count", type=int, default=2_000, help="statements of one turn (default: 2,000)")
    parser.add_argument("--rounds", type=int, default=7, help="measured turns of each (default: 7)")
    parser.add_argument("--source", type=Path, default=ROOT, help="the checkout whose statements are measured")
    parser.add_argument("--python", default=sys.executable, help="the Python of that checkout's environment")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="taskbell-statements-") as folder,
        running(
            Path(folder),
            own_session=False,
            settings={"TASKBELL_API_WORKERS": "1", **UNLIMITED},
            python=arguments.python,
        ) as platform,
    ):
        uvloop.run(measure(platform.run, arguments))


if __name__ == "__main__":
    main()
