"""Answers to plain HTTP requests, and checks of WebSocket upgrades and of streams."""

from __future__ import annotations

import http
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from taskbell.gateway import metrics
from taskbell.gateway.formats import EventStreamFormat
from taskbell.gateway.inputs import Credential
from taskbell.gateway.wire import GatewayConnection
from taskbell.kit.probes import answers
from taskbell.kit.probes.answers import Answer
from taskbell.kit.probes.health import Check, Health, examine

_SINGLE_HEADERS = ("Host", "Origin", "Authorization", "Last-Event-ID")
_TOKEN_NAMES = frozenset({"token", "access_token", "jwt", "bearer", "authorization"})


class UpgradeRefused(Exception):
    """The WebSocket handshake was refused over HTTP."""

    def __init__(self, status: http.HTTPStatus, reason: str, text: str) -> None:
        """`reason` is the label of the metric, `text` the body of the answer."""
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.text = text


class HttpSide:
    """`process_request` of the server."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        allowed_origins: Sequence[str],
        is_full: Callable[[], bool],
        is_draining: Callable[[], bool],
        ping_seconds: float,
    ) -> None:
        """Take the readiness checks and what decides about upgrades."""
        self._checks = checks
        self._allowed_origins = frozenset(allowed_origins)
        self._is_full = is_full
        self._is_draining = is_draining
        self._ping_seconds = ping_seconds

    async def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a plain request; None lets the upgrade go on."""
        try:
            path = urlsplit(request.path).path
        except ValueError:  # malformed, such as `//[`
            path = ""
        match path:
            case "/ws" | "/":
                return self._upgrade(connection, request)
            case "/sse":
                return self._stream(connection, request)
            case _:
                answer = await self._about(path)
        if answer is not None:
            return _response(answer)
        return connection.respond(
            http.HTTPStatus.NOT_FOUND, "The gateway serves /ws, /sse and its health, nothing else.\n"
        )

    async def _about(self, path: str) -> Answer | None:
        """Tell of the gateway itself; None for any other path."""
        match path:
            case "/livez":
                return answers.live()
            case "/readyz":
                return answers.ready(await self._health())
            case "/health":
                return _summary(await self._health())
            case "/metrics":
                return answers.metrics()
            case _:
                return None

    def _upgrade(self, connection: ServerConnection, request: Request) -> Response | None:
        if not any("websocket" in value.lower() for value in request.headers.get_all("Upgrade")):
            return None  # the library answers 426
        return self._refusal(connection, request)

    def _stream(self, connection: ServerConnection, request: Request) -> Response:
        """Begin a stream of server-sent events, or say why not."""
        assert isinstance(connection, GatewayConnection)  # noqa: S101 -- what `create_connection` made
        origin = request.headers.get_all("Origin")
        refused = self._refusal(connection, request)
        if refused is not None:
            return refused
        if request.method == "GET":
            return connection.begin_stream(
                EventStreamFormat(origin=origin[0] if origin else None), patience=2 * self._ping_seconds
            )
        if request.method == "OPTIONS":  # a page asks whether it may send these headers (Fetch Standard, 3.3)
            answer = connection.respond(http.HTTPStatus.NO_CONTENT, "")
            answer.headers["Access-Control-Allow-Methods"] = "GET"
            answer.headers["Access-Control-Allow-Headers"] = "Authorization, Last-Event-ID, Cache-Control"
            answer.headers["Access-Control-Max-Age"] = "600"
            answer.headers["Vary"] = "Origin"
            if origin:
                answer.headers["Access-Control-Allow-Origin"] = origin[0]
            return answer
        answer = connection.respond(http.HTTPStatus.METHOD_NOT_ALLOWED, "GET it.\n")
        answer.headers["Allow"] = "GET, OPTIONS"
        return answer

    def _refusal(self, connection: ServerConnection, request: Request) -> Response | None:
        """Say why a connection is refused; None if it is not."""
        try:
            check_single(request.headers)
            check_address(request.path)
            check_origin(request.headers.get("Origin"), request.headers.get("Host"), self._allowed_origins)
            self._check_room()
        except UpgradeRefused as refused:
            metrics.CONNECTIONS_REFUSED.labels(reason=refused.reason).inc()
            answer = connection.respond(refused.status, refused.text + "\n")
            if refused.status is http.HTTPStatus.SERVICE_UNAVAILABLE:
                answer.headers["Retry-After"] = "1"
            return answer
        return None

    def _check_room(self) -> None:
        if self._is_draining():
            raise UpgradeRefused(http.HTTPStatus.SERVICE_UNAVAILABLE, "draining", "The gateway is going away.")
        if self._is_full():
            raise UpgradeRefused(http.HTTPStatus.SERVICE_UNAVAILABLE, "full", "The gateway is full. Try again.")

    async def _health(self) -> Health:
        health = await examine(self._checks)
        if self._is_draining():
            return Health(ok=False, checks={**health.checks, "drain": "going away"})
        return health


def check_address(path: str) -> None:
    """Refuse a token in the address: addresses end in logs and histories.

    Raises:
        UpgradeRefused: The address holds one.
    """
    names = {name.lower() for name in parse_qs(urlsplit(path).query, keep_blank_values=True)}
    if names & _TOKEN_NAMES:
        text = "No token in the address: send it in the Authorization header or in the first frame, or use a ticket."
        raise UpgradeRefused(http.HTTPStatus.UNAUTHORIZED, "token_in_address", text)


def check_single(headers: Headers) -> None:
    """Refuse repeated headers where only one may decide (RFC 9110, section 5.3).

    Raises:
        UpgradeRefused: A header is repeated.
    """
    for name in _SINGLE_HEADERS:
        if len(headers.get_all(name)) > 1:
            raise UpgradeRefused(http.HTTPStatus.BAD_REQUEST, "repeated_header", f"{name} may come once.")


def check_origin(origin: str | None, host: str | None, allowed: frozenset[str]) -> None:
    """Refuse pages of other origins (RFC 6455, section 10.2). Only browsers send `Origin`, and always in ASCII.

    Raises:
        UpgradeRefused: The origin is neither the gateway's own host nor among the allowed ones.
    """
    if origin is None or origin in allowed:
        return
    try:
        own = host is not None and origin.isascii() and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:  # malformed, such as `http://[`
        own = False
    if own:
        return
    raise UpgradeRefused(http.HTTPStatus.FORBIDDEN, "origin", "This origin may not connect.")


def credential_of(request: Request) -> Credential | None:
    """Return the credential of a handshake: a ticket in the address, or a bearer token in the header."""
    tickets = parse_qs(urlsplit(request.path).query).get("ticket")
    if tickets:
        return Credential(tickets[0], is_ticket=True)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return Credential(token.strip())
    return None


def _summary(health: Health) -> Answer:
    """Answer `/health`: the checks, and the version of this gateway."""
    document = {"status": "ok" if health.ok else "unavailable", "checks": dict(health.checks)}
    status = http.HTTPStatus.OK if health.ok else http.HTTPStatus.SERVICE_UNAVAILABLE
    return answers.json(status, {**document, "service": "gateway", "version": version("taskbell")})


def _response(answer: Answer) -> Response:
    headers = Headers({**answer.headers, "Content-Length": str(len(answer.body)), "Connection": "close"})
    return Response(answer.status.value, answer.status.phrase, headers, answer.body)
