"""`/livez`, `/readyz` and `/metrics`."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from taskbell.kit.health import Check, examine


def create_probes(checks: Mapping[str, Check]) -> web.Application:
    """The application; `/readyz` answers 503 while a check fails and names it."""

    async def live(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def ready(_: web.Request) -> web.Response:
        health = await examine(checks)
        body = {"ok": health.ok, "checks": dict(health.checks)}
        return web.json_response(body, status=200 if health.ok else 503, headers={"Cache-Control": "no-store"})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/livez", live), web.get("/readyz", ready), web.get("/metrics", metrics)])
    return app


@asynccontextmanager
async def probing(checks: Mapping[str, Check], *, listening: socket.socket) -> AsyncIterator[None]:
    """Answer probes for the length of the block. Takes over the listening socket."""
    runner = web.AppRunner(create_probes(checks), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    try:
        yield
    finally:
        await runner.cleanup()
