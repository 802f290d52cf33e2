"""`/livez`, `/readyz`, `/health`, `/metrics`."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from taskbell.api import metrics
from taskbell.api.deps import services
from taskbell.api.version import VERSION
from taskbell.kit.health import examine

router = APIRouter(tags=["health"])


@router.get("/livez", summary="Is the process alive", response_class=PlainTextResponse)
async def livez() -> PlainTextResponse:
    """Answers 200 as long as the event loop turns. Asks nobody else: a database outage must not restart pods."""
    return PlainTextResponse("ok")


@router.get("/readyz", summary="Can it serve", responses={503: {"description": "A part it stands on is away"}})
async def readyz(request: Request) -> JSONResponse:
    """Asks the database (at the schema this code needs) and NATS, each with a deadline of 2 s.

    NATS away is told but does not take the API out of service: tasks are still saved and their events follow later.
    """
    found = await examine(services(request).checks)
    ready = found.checks.get("database") == "ok"
    return JSONResponse({"ready": ready, "checks": dict(found.checks)}, status_code=200 if ready else 503)


@router.get("/health", summary="Summary for people")
async def health(request: Request) -> JSONResponse:
    """The same checks with the version of the installation."""
    found = await examine(services(request).checks)
    status = "ok" if found.ok else "degraded"
    return JSONResponse({"status": status, "version": VERSION, "checks": dict(found.checks)})


@router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
async def exposed_metrics(request: Request) -> Response:
    """The metrics of this process in Prometheus' text format."""
    size, idle = services(request).database.size
    metrics.DATABASE_CONNECTIONS.labels(state="idle").set(idle)
    metrics.DATABASE_CONNECTIONS.labels(state="used").set(size - idle)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
