"""Puts the relay and its probes together and runs both until a signal."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from taskbell.kit.entry import asked_to_stop
from taskbell.kit.health import examine
from taskbell.kit.looper import running
from taskbell.kit.trace import Tracing
from taskbell.relay.settings import RelaySettings
from taskbell.relay.supervision import Supervision

_STOP_SECONDS = 1.2
"""What a clean end may take; then the relay is cancelled, which loses nothing."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def create_probes(supervision: Supervision) -> Starlette:
    """The application that answers the probes: `/livez`, `/readyz` and `/metrics`."""

    async def live(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def ready(_: Request) -> Response:
        health = await examine(supervision.checks())
        return JSONResponse(
            {"ok": health.ok, "checks": dict(health.checks)}, 200 if health.ok else 503, {"Cache-Control": "no-store"}
        )

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/livez", live), Route("/readyz", ready), Route("/metrics", metrics)])


async def serve(settings: RelaySettings, *, listening: socket.socket) -> None:
    """Run the relay and its probes until SIGTERM or SIGINT. Takes over the listening socket."""
    tracing = Tracing.from_environment(service="taskbell-relay")
    supervision = Supervision(settings, holder=_holder_name(), tracing=tracing)
    config = uvicorn.Config(
        create_probes(supervision), log_config=None, access_log=False, server_header=False, lifespan="off", ws="none"
    )
    server = _Server(config)
    stopping = asked_to_stop()
    probes = asyncio.create_task(server.serve(sockets=[listening]), name="probes")
    try:
        await _until(supervision.run, stopping, then=supervision.stop)
    finally:
        server.should_exit = True
        await probes
        tracing.close()


async def _until(run: Callable[[], Awaitable[None]], stopping: asyncio.Event, *, then: Callable[[], None]) -> None:
    async with running(run, name="relay") as relay:
        await stopping.wait()
        then()
        await asyncio.wait([relay], timeout=_STOP_SECONDS)


def _holder_name() -> str:
    """A name that no other process has, nor this one's predecessor: the lease must not pass to it unnoticed."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
