"""The answers to `/livez`, `/readyz` and `/metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from taskbell.kit.probes.health import Health


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, for whatever serves it."""

    status: HTTPStatus
    headers: Mapping[str, str]
    body: bytes


def text(status: HTTPStatus, body: str, **headers: str) -> Answer:
    """Return an answer in plain text."""
    return _answer(status, "text/plain; charset=utf-8", body.encode(), **headers)


def json(status: HTTPStatus, document: Mapping[str, object]) -> Answer:
    """Return an answer with a JSON object."""
    return _answer(status, "application/json", orjson.dumps(document))


def live() -> Answer:
    """Answer `/livez`: the process runs. It checks nothing else, so an outage of another part restarts no pod."""
    return text(HTTPStatus.OK, "ok")


def ready(health: Health) -> Answer:
    """Answer `/readyz`: 200 when `health.ok`, else 503; the body is `{"ok": ..., "checks": {name: "ok" or reason}}`."""
    status = HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE
    return json(status, {"ok": health.ok, "checks": dict(health.checks)})


def metrics() -> Answer:
    """Answer `/metrics`: all metrics of this process in Prometheus' text format."""
    return _answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest())


def _answer(status: HTTPStatus, content_type: str, body: bytes, **headers: str) -> Answer:
    return Answer(status, {"Content-Type": content_type, "Cache-Control": "no-store", **headers}, body)
