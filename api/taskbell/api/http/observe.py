"""Observation of every request: trace and request id, duration, and unexpected errors."""

from __future__ import annotations

import time
from typing import Any

import structlog
from opentelemetry.trace import SpanKind
from prometheus_client import Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskbell.api import metrics
from taskbell.api.http import consistency
from taskbell.api.http.problem import problem_response
from taskbell.api.rates.limiter import CHARGE
from taskbell.contract.problems import ProblemCode
from taskbell.kit import trace

_log = structlog.get_logger(__name__)


class Observe:
    """The outermost layer: gives each request its trace, measures it, and responds with 500 to unexpected errors.

    The request id is the trace id, so that one id finds the log lines, the spans and the events of a request.
    """

    def __init__(self, app: ASGIApp, *, tracing: trace.Tracing, slow: float) -> None:
        """Wrap an application; requests slower than `slow` seconds are logged."""
        self._app = app
        self._tracing = tracing
        self._slow = slow
        self._timers: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Work on one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        context = self._tracing.begin(_traceparent(scope))
        token = trace.current.set(context)
        metrics.REQUESTS_IN_PROGRESS.inc()
        status = 0
        identity = (b"x-request-id", context.trace_id.encode())

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                charge = scope.get(CHARGE)
                limits = () if charge is None else charge.headers(status)
                reached = await consistency.headers(scope, status)
                message["headers"] = [*message.get("headers", ()), identity, *limits, *reached]
            await send(message)

        try:
            if context.sampled:
                await self._traced(context, scope, receive, observed)
            else:
                await self._app(scope, receive, observed)
        except ClientDisconnect:
            status = status or _CLIENT_LEFT
        except Exception:
            metrics.REQUESTS_FAILED.labels(route=_route(scope)).inc()
            _log.exception("request_failed", method=scope["method"], path=scope["path"])
            if status:
                raise
            answer = problem_response(
                ProblemCode.INTERNAL,
                detail="The error is recorded; quote the request id when you report it.",
                instance=scope["path"],
            )
            await answer(scope, receive, observed)
        finally:
            metrics.REQUESTS_IN_PROGRESS.dec()
            took = time.perf_counter() - started
            self._timer(scope["method"], _route(scope), status).observe(took)
            if took > self._slow or status >= 500:
                _log.warning(
                    "request_slow_or_failed",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    took_ms=round(took * 1000, 1),
                )
            trace.current.reset(token)

    async def _traced(self, context: trace.TraceContext, scope: Scope, receive: Receive, send: Send) -> None:
        attributes: dict[str, str | int] = {"http.request.method": scope["method"], "url.path": scope["path"]}
        with self._tracing.span(scope["method"], parent=context, kind=SpanKind.SERVER, attributes=attributes) as inner:
            token = trace.current.set(inner)
            try:
                await self._app(scope, receive, send)
            finally:
                trace.current.reset(token)

    def _timer(self, method: str, route: str, status: int) -> Any:
        key = (method, route, status)
        timer = self._timers.get(key)
        if timer is None:
            known = method if method in _METHODS else "other"
            timer = metrics.REQUEST_DURATION.labels(method=known, route=route, status=str(status))
            if known == method:
                self._timers[key] = timer
        return timer


_CLIENT_LEFT = 499
"""What nginx logs when nobody waits for the answer any more."""
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


def _traceparent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return str(value, "latin-1")
    return None


def _route(scope: Scope) -> str:
    """The route's template: labels must not hold what clients choose freely."""
    route = scope.get("route")
    return getattr(route, "path", "unmatched") if route is not None else "unmatched"
