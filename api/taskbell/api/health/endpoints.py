"""`/livez`, `/readyz`, `/health`, `/metrics`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, PlainTextResponse, Response

from taskbell.api import metrics
from taskbell.api.deps import service
from taskbell.api.version import VERSION
from taskbell.kit.probes import answers
from taskbell.kit.probes.answers import Answer
from taskbell.kit.probes.health import Check, Health, examine
from taskbell.store.pool import Database
from taskbell.store.reads import Reads

router = APIRouter(tags=["health"])


class Readiness(BaseModel):
    """Whether this process can serve."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    ok: bool
    checks: dict[str, str] = Field(examples=[{"database": "ok", "nats": "ok"}])
    """By the name of each part: `ok`, or what is wrong."""


class HealthSummary(BaseModel):
    """How this installation is."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["ok", "degraded"]
    """`degraded` if a part is away."""
    version: str = Field(examples=["0.1.0"])
    checks: dict[str, str] = Field(examples=[{"database": "ok", "nats": "ok"}])
    """By the name of each part: `ok`, or what is wrong."""


Checks = Annotated[dict[str, Check], Depends(service("checks"))]
Primary = Annotated[Database, Depends(service("database"))]
Replicas = Annotated[Reads, Depends(service("reads"))]


@router.get("/livez", summary="Is the process alive", response_class=PlainTextResponse)
async def get_liveness() -> Response:
    """Answers 200 as long as the event loop runs. Checks nothing else: a database outage must not restart pods."""
    return _response(answers.live())


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "The database is away or behind"}},
    summary="Can it serve",
)
async def get_readiness(checks: Checks) -> Response:
    """Checks the database (with the schema that this code needs) and NATS, each with a deadline of 2 s.

    While NATS is down the response names it and stays 200: tasks are saved, and their events follow later.
    """
    found = await examine(checks)
    can_serve = found.checks.get("database") == "ok"
    return _response(answers.ready(Health(ok=can_serve, checks=found.checks)))


@router.get("/health", response_model=HealthSummary, summary="Summary for people")
async def get_health(checks: Checks) -> JSONResponse:
    """The same checks with the version of the installation."""
    found = await examine(checks)
    status = "ok" if found.ok else "degraded"
    return JSONResponse({"status": status, "version": VERSION, "checks": dict(found.checks)})


@router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
async def exposed_metrics(database: Primary, reads: Replicas) -> Response:
    """The metrics of this process in Prometheus' text format."""
    size, idle = database.size
    metrics.DATABASE_CONNECTIONS.labels(state="idle").set(idle)
    metrics.DATABASE_CONNECTIONS.labels(state="used").set(size - idle)
    reads.measure()
    return _response(answers.metrics())


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status.value, dict(answer.headers))
