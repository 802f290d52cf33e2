"""The floor that the API is compared with: a bare FastAPI + asyncpg handler that runs the same SQL, and nothing else.

It has no sign-in, no validation, no metrics, no problem documents and no tracing. Its statements are copies on purpose:
the floor imports nothing of the API, and `tests/loadtests/test_floor.py` holds them equal, so that the ratio measures
the code around the SQL and never a change of the SQL itself.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request, Response

SQL = Path(__file__).parent / "floor"
CREATE = (SQL / "create_task.sql").read_text()
GET = (SQL / "get_task.sql").read_text()
LIST = (SQL / "list_tasks.sql").read_text()


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
        document = await connection.fetchval(
            CREATE, ACTOR, WORKSPACE, body["title"], None, "pending", body["priority"], None, None, [], None, []
        )
    return Response(document, status_code=201, media_type="application/json")


@app.get("/v1/tasks/{task_id}")
async def get(request: Request, task_id: UUID) -> Response:
    """Read a task."""
    async with request.app.state.pool.acquire() as connection:
        row = await connection.fetchrow(GET, ACTOR, task_id)
    return Response(row[0], media_type="application/json")


@app.get("/v1/tasks")
async def page(request: Request, limit: int = 20) -> Response:
    """Read the first page of a list."""
    async with request.app.state.pool.acquire() as connection:
        rows = await connection.fetch(LIST, ACTOR, WORKSPACE, limit + 1)
    return Response(f'{{"items":[{",".join(row[0] for row in rows[:limit])}]}}', media_type="application/json")
