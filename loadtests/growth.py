"""What each statement of the API costs PostgreSQL among few tasks and among many.

    .venv/bin/python loadtests/growth.py

It starts a PostgreSQL without a replica in a temporary folder, fills one workspace, measures, fills on, and measures
again. One connection runs one statement after the other, on the newest tasks of the workspace, which people work on,
and on tasks from everywhere in it. The figure is the processor time of the connection's backend for each statement,
with its commit; the time that the client waits is printed next to it. 10,000,000 tasks take about 25 GB.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import uvloop

from bench import ROOT, fill
from queries import query
from statements import Contender, ours
from taskbell.local import db
from taskbell.local.embedded.postgres import PostgresServer
from taskbell.store import migrate, roles
from taskbell.store.task_lists import TEXT_BYTES, list_statement

_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
_SAMPLE = 5_000
"""How many tasks the statements work on. Each is touched once before anything is measured."""


def _contenders(api: asyncpg.Connection, *, user: UUID, workspace: UUID, ids: list[UUID]) -> dict[str, Contender]:
    fields = {"description": None, "status": "pending", "priority": 3, "start_at": None, "due_at": None}
    common = {"actor": user, "workspace_id": workspace, "traceparent": _TRACE, "leads": [], "assignee_ids": []}
    sent: dict[str, Any] = {"only_version": None, "only_workspace": None, "held": [], "brimful": [], "sent": ["title"]}

    first = {"actor": user, "workspace_id": workspace, "limit": 21, "heaviest": TEXT_BYTES // 20}

    def of(number: int) -> UUID:
        return ids[number * 7919 % len(ids)]

    def wanted(values: Callable[[int], dict[str, Any]]) -> Callable[[int], dict[str, Any]]:
        return lambda number: {**fields, **common, **sent, **values(number)}

    page = list_statement(("workspace_id",), field="position", descending=False, continued=False, adds_up=False)
    return {
        "get": ours(api, ROOT, "get_task", wanted(lambda n: {"task_id": of(n)})),
        "list of 20": Contender(api, page.text, lambda _: page.arguments(first)),
        "create": ours(api, ROOT, "create_task", wanted(lambda n: {"title": f"Task {n}"})),
        "update": ours(api, ROOT, "change_task", wanted(lambda n: {"task_id": of(n), "title": secrets.token_hex(8)})),
        "move": ours(
            api,
            ROOT,
            "move_task",
            wanted(lambda n: {"task_id": of(n), "anchor_id": of(n * 31 + 1), "goes_before": False}),
        ),
    }


async def _measure(
    server: PostgresServer, password: str, *, user: UUID, workspace: UUID, tasks: int, arguments: argparse.Namespace
) -> dict[str, Contender]:
    """Measure each statement among this many tasks."""
    owner = await asyncpg.connect(server.url(roles.OWNER, password, db.DATABASE))
    samples = {
        "newest": await owner.fetch(query("newest_tasks"), workspace, _SAMPLE),
        "any": await owner.fetch(query("sample_everywhere"), workspace, min(100.0, 100 * _SAMPLE / tasks)),
    }
    await owner.close()
    api = await asyncpg.connect(server.url(roles.API, password, db.DATABASE))
    measured: dict[str, Contender] = {}
    for sample, rows in samples.items():
        ids = [row[0] for row in rows]
        for name, contender in _contenders(api, user=user, workspace=workspace, ids=ids).items():
            await contender.turn(first=0, count=len(ids), counts=False)
            for turn in range(arguments.rounds):
                await contender.turn(first=turn * arguments.count, count=arguments.count, counts=True)
            measured[f"{name}, {sample}"] = contender
    await api.close()
    return measured


async def _grow(server: PostgresServer, arguments: argparse.Namespace) -> None:
    password, user, workspace = secrets.token_hex(16), uuid4(), uuid4()
    await db.ensure_roles(server.url(), dict.fromkeys(roles.ROLES, password))
    await db.ensure_database(server.url())
    owner_url = server.url(roles.OWNER, password, db.DATABASE)
    await migrate.upgrade_async(owner_url)
    owner = await asyncpg.connect(owner_url)
    await owner.execute(query("new_account"), user, workspace)
    await owner.close()
    found: list[dict[str, Contender]] = []
    for tasks, more in ((arguments.few, arguments.few), (arguments.many, arguments.many - arguments.few)):
        await fill(owner_url, workspace=str(workspace), user=str(user), count=more)
        measured = await _measure(server, password, user=user, workspace=workspace, tasks=tasks, arguments=arguments)
        found.append(measured)
    print(f"{'statement':20}{f'{arguments.few:,} tasks':>28}{f'{arguments.many:,} tasks':>28}{'ratio':>8}")
    for name in found[0]:
        spent = [statistics.median(each[name].spent) for each in found]
        waited = [statistics.median(each[name].waited) for each in found]
        cells = [f"{a:.0f} µs, waited {b:.0f}" for a, b in zip(spent, waited, strict=True)]
        print(f"{name:20}{cells[0]:>28}{cells[1]:>28}{spent[1] / spent[0]:8.2f}")


def main() -> None:
    """Start a PostgreSQL, fill, measure, print."""
    parser = argparse.ArgumentParser(prog="growth", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--few", type=int, default=100_000, help="tasks at first (default: 100,000)")
    parser.add_argument("--many", type=int, default=10_000_000, help="tasks in the end (default: 10,000,000)")
    parser.add_argument("--count", type=int, default=2_000, help="statements of one turn (default: 2,000)")
    parser.add_argument("--rounds", type=int, default=7, help="measured turns of each (default: 7)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="taskbell-growth-") as folder:
        server = PostgresServer(Path(folder) / "postgres", password=secrets.token_hex(16))
        server.prepare()
        with server.running(Path(folder) / "postgres.log"):
            uvloop.run(_grow(server, arguments))


if __name__ == "__main__":
    main()
