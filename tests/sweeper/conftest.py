"""Fixtures: tasks that were created long ago; walks in this process."""

import secrets
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from reminders import Team
from taskbell.kit.ids import lowest_id


@pytest.fixture
def make_old(owner: asyncpg.Connection, team: Team) -> Callable[..., Awaitable[list[UUID]]]:
    """Makes tasks that were created `age` ago; their status changed then, or `changed` ago."""

    async def make(
        count: int = 1,
        *,
        age: timedelta,
        changed: timedelta | None = None,
        status: str = "pending",
        assignees: Iterable[UUID] = (),
    ) -> list[UUID]:
        now = datetime.now(UTC)
        lowest = lowest_id(now - age).int
        tasks = [UUID(int=lowest | secrets.randbits(72)) for _ in range(count)]
        await owner.execute(
            "INSERT INTO tasks (id, workspace_id, title, status, assignee_ids, created_by, created_at, updated_at,"
            " status_changed_at) SELECT id, $2, 'T', $3, $4, $5, $6, $6, $7 FROM unnest($1::uuid[]) id",
            tasks,
            team.workspace,
            status,
            list(assignees),
            team.members[0],
            now - age,
            now - (age if changed is None else changed),
        )
        return sorted(tasks)

    return make
