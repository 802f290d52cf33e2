"""Fixtures: workspaces with tasks that are due, made by the schema's owner; sweeps in this process and in others."""

import asyncio
import dataclasses
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from taskbell.contract.notices import Kind
from taskbell.kit.ids import new_id
from taskbell.local import db
from taskbell.sweeper.policy import Part, Shard
from taskbell.sweeper.repository import sweeping
from taskbell.sweeper.sweep import SweepReport, sweep
from taskbell.testing.waiting import eventually


@dataclasses.dataclass(frozen=True)
class Team:
    """A workspace and its members; the first founded it."""

    workspace: UUID
    members: tuple[UUID, ...]


@pytest.fixture
async def owner(database: Any) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the schema's owner, who sees every row."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.fixture
async def team(owner: asyncpg.Connection) -> Team:
    """Three people in one workspace."""
    workspace, members = new_id(), tuple(new_id() for _ in range(3))
    for user in members:
        await owner.execute(
            "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, $2, 'P', $3)",
            user,
            f"{user}@b.example",
            workspace,
        )
    await owner.execute("INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'W', $2)", workspace, members[0])
    for user in members:
        await owner.execute(
            "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'member')", user, workspace
        )
    return Team(workspace, members)


@pytest.fixture
def plan(owner: asyncpg.Connection, team: Team) -> Callable[..., Awaitable[list[UUID]]]:
    """Makes tasks with one reminder each, `fires_in` from now and spread back over `over`; returns their ids."""

    async def make(
        count: int = 1,
        *,
        fires_in: timedelta = timedelta(0),
        lead: timedelta = timedelta(hours=1),
        over: timedelta = timedelta(0),
        status: str = "pending",
        kind: str = "due_soon",
        assignees: Iterable[UUID] = (),
    ) -> list[UUID]:
        rows = await owner.fetch(
            "INSERT INTO tasks (workspace_id, title, status, due_at, assignee_ids, created_by)"
            " SELECT $1, 'T' || n, $2, now() + $7::interval + $3::interval, $4, $5"
            " FROM generate_series(1, $6) n RETURNING id",
            team.workspace,
            status,
            fires_in,
            list(assignees),
            team.members[0],
            count,
            lead,
        )
        tasks = [UUID(str(row[0])) for row in rows]
        await owner.execute(
            "INSERT INTO reminders (task_id, workspace_id, kind, lead, fire_at)"
            " SELECT id, $2, $7, $6, now() + $3::interval - $4::interval * (n::float8 / $5::int)"
            " FROM unnest($1::uuid[]) WITH ORDINALITY t (id, n)",
            tasks,
            team.workspace,
            fires_in,
            over,
            count,
            lead,
            kind,
        )
        return tasks

    return make


@pytest.fixture
def fired(owner: asyncpg.Connection) -> Callable[..., Awaitable[list[tuple[UUID, UUID]]]]:
    """Reads who was notified of which task, in order."""

    async def read(kind: str = "due_soon") -> list[tuple[UUID, UUID]]:
        rows = await owner.fetch("SELECT task_id, user_id FROM notifications WHERE kind = $1 ORDER BY id", kind)
        return [(UUID(str(task)), UUID(str(user))) for task, user in rows]

    return read


@pytest.fixture
def run_sweep(database: Any) -> Callable[..., Awaitable[SweepReport]]:
    """Runs a sweep in this process."""

    async def run(
        *,
        shard: Shard = Shard(),  # noqa: B008 -- frozen
        leads: tuple[timedelta, ...] = (),
        kind: Kind = Kind.DUE_SOON,
        batch_size: int = 100,
        stay: timedelta = timedelta(0),
        stopping: asyncio.Event | None = None,
        poke: Callable[[], Awaitable[None]] = _nothing,
    ) -> SweepReport:
        async with sweeping(database.sweeper_url) as reminders:
            return await sweep(
                reminders,
                part=Part(shard, leads, kind),
                batch_size=batch_size,
                stay=stay,
                stopping=stopping or asyncio.Event(),
                poke=poke,
            )

    return run


async def _nothing() -> None:
    return


@pytest.fixture
def left(owner: asyncpg.Connection) -> Callable[[int], Awaitable[int]]:
    """Waits until at most so many reminders are left to fire."""

    async def number() -> int:
        return int(await owner.fetchval("SELECT count(*) FROM reminders"))

    async def wait(count: int) -> int:
        return await eventually(number, "reminders left", wanted=lambda found: found <= count)

    return wait


@pytest.fixture
async def spawn() -> AsyncIterator[Callable[..., Awaitable[asyncio.subprocess.Process]]]:
    """Starts `python -m taskbell.sweeper` with a database and arguments. What still runs after the test is killed."""
    started: list[asyncio.subprocess.Process] = []

    async def start(database_url: str, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "taskbell.sweeper", *arguments),
            env={**os.environ, "TASKBELL_DATABASE_URL": database_url, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()
