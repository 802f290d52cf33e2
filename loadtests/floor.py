"""The floor that the API is compared with: a bare FastAPI + asyncpg handler and the shortest SQL for the same rows.

It has no sign-in, no row-level security, no quotas, no validation, no metrics, no problem documents and no tracing, and
it decides nothing: its statements (`queries/floor_*.sql`) run as the schema's owner and write just the rows of the task
and its event. Two moves to one place at once would end on the same position.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request, Response

from queries import query

CREATE = query("floor_create")
GET = query("floor_get")
LIST = query("floor_list")
UPDATE = query("floor_update")
MOVE = query("floor_move")


class _Connection(asyncpg.Connection):
    """Without asyncpg's reset round trip at release, as the API's connections are."""

    def get_reset_query(self) -> str:
        return ""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["FLOOR_DATABASE_URL"],
        min_size=2,
        max_size=20,
        connection_class=_Connection,
        server_settings={"plan_cache_mode": "force_generic_plan"},  # as the API's role: faster with many partitions
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_lifespan)
ACTOR = UUID(os.environ["FLOOR_ACTOR"]) if "FLOOR_ACTOR" in os.environ else None
WORKSPACE = UUID(os.environ["FLOOR_WORKSPACE"]) if "FLOOR_WORKSPACE" in os.environ else None


async def _document(request: Request, statement: str, *arguments: object, status: int = 200) -> Response:
    async with request.app.state.pool.acquire() as connection:
        document = await connection.fetchval(statement, *arguments)
    return Response(document, status_code=status, media_type="application/json")


@app.post("/v1/tasks")
async def create(request: Request) -> Response:
    """Insert a task and its event."""
    body = await request.json()
    return await _document(request, CREATE, WORKSPACE, ACTOR, body["title"], body["priority"], status=201)


@app.get("/v1/tasks/{task_id}")
async def get(request: Request, task_id: UUID) -> Response:
    """Read a task."""
    return await _document(request, GET, task_id)


@app.get("/v1/tasks")
async def page(request: Request, limit: int = 20) -> Response:
    """Read the first page of a list."""
    async with request.app.state.pool.acquire() as connection:
        rows = await connection.fetch(LIST, WORKSPACE, limit + 1)
    return Response(f'{{"items":[{",".join(row[0] for row in rows[:limit])}]}}', media_type="application/json")


@app.patch("/v1/tasks/{task_id}")
async def update(request: Request, task_id: UUID) -> Response:
    """Change a task's title, with the event."""
    body = await request.json()
    return await _document(request, UPDATE, task_id, ACTOR, body["title"])


@app.post("/v1/tasks/{task_id}/move")
async def move(request: Request, task_id: UUID) -> Response:
    """Put a task right after another, with the event."""
    body = await request.json()
    return await _document(request, MOVE, task_id, ACTOR, UUID(body["after"]), WORKSPACE)
