"""The floor that the API is compared with: a bare FastAPI + asyncpg handler that runs the same SQL, and nothing else.

It has no sign-in, no validation, no metrics, no problem documents and no tracing. Its statements are those of the API,
so that the ratio measures the code around the SQL and never a change of the SQL itself.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request, Response

from taskbell.api.tasks.repository import list_statement
from taskbell.api.tasks.schemas import Sort, TaskCreate
from taskbell.kit.postgres.statements import load

CREATE = load("taskbell.api.tasks", "create_task")
GET = load("taskbell.api.tasks", "get_task")
LIST = list_statement(("workspace_id",), Sort.POSITION, continued=False)
FIELDS = TaskCreate(title="A task").model_dump() | {"traceparent": None, "leads": []}


class _Connection(asyncpg.Connection):
    """Without asyncpg's reset round trip at release, as the API's connections are."""

    def get_reset_query(self) -> str:
        return ""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["FLOOR_DATABASE_URL"], min_size=2, max_size=20, connection_class=_Connection
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_lifespan)
ACTOR = os.environ.get("FLOOR_ACTOR", "")
WORKSPACE = UUID(os.environ["FLOOR_WORKSPACE"]) if "FLOOR_WORKSPACE" in os.environ else None


@app.post("/v1/tasks", status_code=201)
async def create(request: Request) -> Response:
    """Insert a task and its event."""
    body = await request.json()
    async with request.app.state.pool.acquire() as connection:
        fields = {**FIELDS, "workspace_id": WORKSPACE, "title": body["title"], "priority": body["priority"]}
        document = await CREATE.value(connection, actor=ACTOR, **fields)
    return Response(document, status_code=201, media_type="application/json")


@app.get("/v1/tasks/{task_id}")
async def get(request: Request, task_id: UUID) -> Response:
    """Read a task."""
    async with request.app.state.pool.acquire() as connection:
        document = await GET.value(connection, actor=ACTOR, task_id=task_id)
    return Response(document, media_type="application/json")


@app.get("/v1/tasks")
async def page(request: Request, limit: int = 20) -> Response:
    """Read the first page of a list."""
    async with request.app.state.pool.acquire() as connection:
        rows = await LIST.rows(connection, actor=ACTOR, workspace_id=WORKSPACE, limit=limit + 1)
    return Response(f'{{"items":[{",".join(row[0] for row in rows[:limit])}]}}', media_type="application/json")
