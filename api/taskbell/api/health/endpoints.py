"""`/livez`, `/readyz`, `/health`, `/metrics`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from taskbell.api import metrics
from taskbell.api.deps import services
from taskbell.api.version import VERSION
from taskbell.kit.probes import answers
from taskbell.kit.probes.answers import Answer
from taskbell.kit.probes.health import Health, examine

router = APIRouter(tags=["health"])


@router.get("/livez", summary="Is the process alive", response_class=PlainTextResponse)
async def livez() -> Response:
    """Returns 200 as long as the event loop runs. It checks no other part: a database outage must not restart pods."""
    return _response(answers.live())


@router.get("/readyz", summary="Can it serve", responses={503: {"description": "A part it stands on is away"}})
async def readyz(request: Request) -> Response:
    """Checks the database (with the schema that this code needs) and NATS, each with a deadline of 2 s.

    An outage of NATS is reported but does not make the API unready: tasks are saved, and their events follow later.
    """
    found = await examine(services(request).checks)
    can_serve = found.checks.get("database") == "ok"
    return _response(answers.ready(Health(ok=can_serve, checks=found.checks)))


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
    return _response(answers.metrics())


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status.value, dict(answer.headers))
