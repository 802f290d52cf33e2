"""Answers to plain HTTP requests, and checks of WebSocket upgrades."""

from __future__ import annotations

import http
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from taskbell.gateway import metrics
from taskbell.gateway.inputs import Credential
from taskbell.kit.probes import answers
from taskbell.kit.probes.answers import Answer
from taskbell.kit.probes.health import Check, Health, examine

_SINGLE_HEADERS = ("Host", "Origin", "Authorization")
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
    ) -> None:
        """Take the readiness checks and what decides about upgrades."""
        self._checks = checks
        self._allowed_origins = frozenset(allowed_origins)
        self._is_full = is_full
        self._is_draining = is_draining

    async def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a plain request; None lets the upgrade go on."""
        try:
            path = urlsplit(request.path).path
        except ValueError:  # malformed, such as `//[`
            path = ""
        match path:
            case "/ws" | "/":
                return self._upgrade(connection, request)
            case "/livez":
                return _response(answers.live())
            case "/readyz":
                return _response(answers.ready(await self._health()))
            case "/health":
                return _response(_summary(await self._health()))
            case "/metrics":
                return _response(answers.metrics())
            case _:
                return connection.respond(
                    http.HTTPStatus.NOT_FOUND, "The gateway serves /ws and its health, nothing else.\n"
                )

    def _upgrade(self, connection: ServerConnection, request: Request) -> Response | None:
        if not any("websocket" in value.lower() for value in request.headers.get_all("Upgrade")):
            return None  # the library answers 426
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
    """Refuse pages of other origins (RFC 6455, section 10.2). Only browsers send `Origin`.

    Raises:
        UpgradeRefused: The origin is neither the gateway's own host nor among the allowed ones.
    """
    if origin is None or origin in allowed:
        return
    try:
        own = host is not None and urlsplit(origin).netloc.lower() == host.lower()
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
