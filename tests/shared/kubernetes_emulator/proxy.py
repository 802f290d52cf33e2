"""A proxy in front of an API server, real or emulated: it records every request and injects faults.

The operator under test talks to the proxy, which signs in for it; the test itself talks to the server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp import web

from kubernetes_emulator.client import ApiServer, Json

_REASONS = {HTTPStatus.CONFLICT: "Conflict", HTTPStatus.NOT_FOUND: "NotFound", HTTPStatus.GONE: "Expired"}


@dataclass(slots=True, kw_only=True)
class Fault:
    """Makes the next `times` requests of a method whose path ends with a text fail with a status."""

    method: str
    path_ends: str
    status: int
    times: int = 1


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it was answered."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    status: int
    authorization: str
    """The header that the operator sent; empty if the proxy signed in for it."""

    @property
    def writes(self) -> bool:
        """Whether it could change anything; reviews of permissions cannot."""
        return self.method != "GET" and not self.path.endswith("accessreviews")

    @property
    def watches(self) -> bool:
        """Whether it is a watch."""
        return self.query.get("watch") in {"true", "1"}


@dataclass(slots=True)
class Proxy:
    """The proxy. `url` is its address once it runs; `token` signs in for an operator that does not.

    Attributes:
        admit: Changes the body of a writing request, as an admission webhook does; `calls` keep the original body.
    """

    upstream: ApiServer
    token: str = ""
    url: str = ""
    admit: Callable[[Json], Json] | None = None
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _watches: set[asyncio.Task[None]] = field(default_factory=set)
    _expired: set[str] = field(default_factory=set)
    """Paths whose next watch is refused, because its version is too old."""

    def writes(self, *, path_part: str = "") -> list[Call]:
        """The writing requests so far whose path contains a text, also those that failed."""
        return [call for call in self.calls if call.writes and path_part in call.path]

    async def cut_watches(self, *, forget: bool = False) -> None:
        """Break every watch; with `forget`, its version is too old (410) when the operator asks for it again."""
        if forget:
            self._expired |= {call.path for call in self.calls if call.watches}
        for task in [*self._watches]:
            task.cancel()
        await asyncio.sleep(0)

    @asynccontextmanager
    async def running(self, *, port: int = 0) -> AsyncIterator[Proxy]:
        """Serve for the length of the block; 0 takes any free port."""
        connector = aiohttp.TCPConnector(ssl=self.upstream.tls(self.token), limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with aiohttp.ClientSession(self.upstream.url, connector=connector, timeout=timeout) as http:
            app = web.Application(client_max_size=1 << 24)

            async def answer(request: web.Request) -> web.StreamResponse:
                return await self._answer(http, request)

            app.router.add_route("*", "/{path:.*}", answer)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                await self.cut_watches()
                await runner.cleanup()

    async def _answer(self, http: aiohttp.ClientSession, request: web.Request) -> web.StreamResponse:
        sent = await request.read()
        body = json.loads(sent) if sent else None
        status = self._fault(request)
        if status is None:
            passed = ("Accept", "Content-Type", "Authorization")
            headers = self.upstream.headers(self.token)
            headers |= {name: request.headers[name] for name in passed if name in request.headers}
            if self.admit is not None and sent:
                sent = json.dumps(self.admit(json.loads(sent))).encode()
            async with http.request(request.method, request.rel_url, data=sent or None, headers=headers) as response:
                self._record(request, body, response.status)
                return await self._pass_on(request, response)
        self._record(request, body, status)
        reason = _REASONS.get(HTTPStatus(status), "InternalError")
        failure: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason}
        failure |= {"message": "injected fault", "code": status}
        if status == HTTPStatus.GONE:  # a watch gets it as an event of its stream
            return web.json_response({"type": "ERROR", "object": failure}, dumps=lambda event: json.dumps(event) + "\n")
        return web.json_response(failure, status=status)

    def _fault(self, request: web.Request) -> int | None:
        """The status of the fault that this request meets, if any."""
        if "watch" in request.query and request.path in self._expired:
            self._expired.discard(request.path)
            return HTTPStatus.GONE
        for fault in self.faults:
            if fault.times > 0 and fault.method == request.method and request.path.endswith(fault.path_ends):
                fault.times -= 1
                return fault.status
        return None

    def _record(self, request: web.Request, body: Any, status: int) -> None:
        authorization = request.headers.get("Authorization", "")
        self.calls.append(Call(request.method, request.path, dict(request.query), body, status, authorization))

    async def _pass_on(self, request: web.Request, response: aiohttp.ClientResponse) -> web.StreamResponse:
        answer = web.StreamResponse(status=response.status, headers={"Content-Type": response.content_type})
        copying = asyncio.ensure_future(_copy(request, response, answer))
        if "watch" in request.query:
            self._watches.add(copying)
        try:
            await copying
        except asyncio.CancelledError:
            copying.cancel()
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._watches.discard(copying)
        return answer


async def _copy(request: web.Request, response: aiohttp.ClientResponse, answer: web.StreamResponse) -> None:
    with suppress(ConnectionResetError):  # who asked is gone, and so is who would miss the rest
        await answer.prepare(request)
        async for piece in response.content.iter_any():
            await answer.write(piece)
